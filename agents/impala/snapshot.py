"""Where a learner stood before a rollout: kept on its device, and put back in place."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from agents.impala.learner import Learner


class Snapshot:
    """Copies of everything that updates change; the memory is used again by the next `take`."""

    def __init__(self) -> None:
        self._copies: list[Tensor] = []

    @torch.no_grad()
    def take(self, learner: "Learner") -> None:
        """Copies where the learner stands."""
        tensors = tensors_of(learner)
        if len(tensors) == len(self._copies):
            torch._foreach_copy_(self._copies, tensors)
        else:
            self._copies = [tensor.clone() for tensor in tensors]
        self._counts = learner.version, learner.frames, learner.skipped_updates
        self._generator = learner.generator.get_state()

    @torch.no_grad()
    def restore(self, learner: "Learner") -> None:
        """Puts the learner back, its tensors where they are: a CUDA graph may hold them."""
        if len(tensors_of(learner)) > len(self._copies):  # before the optimiser's first step
            learner.optimizer.state.clear()
        torch._foreach_copy_(tensors_of(learner), self._copies)
        learner.version, learner.frames, learner.skipped_updates = self._counts
        learner.generator.set_state(self._generator)


def tensors_of(learner: "Learner") -> list[Tensor]:
    """Returns the tensors of policy and optimiser, in a fixed order."""
    moments = [x for state in learner.optimizer.state.values() for x in state.values()]
    return [*(x.detach() for x in learner.policy.state_dict().values()), *moments]
