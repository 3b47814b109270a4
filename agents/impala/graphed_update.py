"""An update on a GPU as one CUDA graph: some 370 launches become one."""

from collections.abc import Callable

import torch
from torch import Tensor

from agents.impala.graphs import capture
from agents.impala.rollout import Rollout
from models.policy import PolicyOutput

Updated = tuple[Tensor, PolicyOutput]
"""Figures [n] of an optimiser step, and what the policy said before it: logits [T+1, b, A] and
values [T+1, b], without gradient."""
Update = Callable[[Rollout], Updated]
"""An optimiser step on a minibatch."""


class GraphedUpdate:
    """An update on minibatches of one size, captured at its first use.

    Python takes three times as long to launch a small policy's kernels as the GPU to run them,
    and meanwhile holds the lock that the actor threads need.

    Args:
        update: has run before, so that Triton has compiled and the optimiser has its state; asks
            nothing of the device.
    """

    def __init__(self, update: Update) -> None:
        self._update = update
        self._graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, rollout: Rollout, columns: Tensor) -> Updated:
        """Makes the update on the environments `columns` [b] of a rollout.

        Returns:
            What `Updated` says; the policy's output stands until the next call.
        """
        if self._graph is None:
            self._minibatch = rollout.select(columns)
            self._graph, self._results = capture(
                lambda: self._update(self._minibatch), columns.device, warm_up=0
            )
        rollout.select_into(self._minibatch, columns)
        self._graph.replay()
        figures, output = self._results
        return figures.clone(), output
