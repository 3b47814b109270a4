"""What an optimiser remembers, as checkpoints hold it: taken, restored, and how it is built."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor
from torch.optim import Optimizer

MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}
"""What torch's optimisers remember of every parameter, beside the number of their steps."""


def optimizer_state(optimizer: Optimizer) -> list[dict[str, Tensor]]:
    """Returns what an optimiser remembers of each parameter, in order; its own tensors, no copies.

    Before its first step that is nothing: an empty list.
    """
    return list(optimizer.state_dict()["state"].values())


def restore_optimizer(optimizer: Optimizer, state: Sequence[Mapping[str, Tensor]]) -> None:
    """Has an optimiser remember what `optimizer_state` returned; its settings stay its own.

    Args:
        optimizer: over parameters of the shapes and in the order of the one that was saved.
        state: built like `optimizer_state_like`, or empty; on any device. Its tensors may be kept.
    """
    settings = optimizer.state_dict()["param_groups"]
    optimizer.load_state_dict({"state": dict(enumerate(state)), "param_groups": settings})


def optimizer_state_like(
    kind: Literal["adam", "rmsprop"], parameters: Iterable[Tensor]
) -> list[dict[str, Tensor]]:
    """Returns what `optimizer_state` returns after a step, in structure.

    Args:
        kind: of the optimiser.
        parameters: that it improves, of any shape and device; they stand for the moments.
    """
    step = torch.zeros(())
    return [{"step": step} | dict.fromkeys(MOMENTS[kind], parameter) for parameter in parameters]
