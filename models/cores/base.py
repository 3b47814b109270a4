"""What a core is to the policy: a recurrence over [T, B] rows whose state resets at starts."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

CoreState = tuple[Tensor, ...]
"""Float32 tensors, each with the batch as leading dimension; () for a core without memory."""


class Core(nn.Module, ABC):
    """A memory. One forward serves acting (T = 1) and learning."""

    output_size: int
    """Features of one output row."""

    @property
    @abstractmethod
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Shape of each tensor of the state, without the batch."""

    @abstractmethod
    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Consumes an unroll.

        Args:
            x: [T, B, D] float32 inputs, T and B at least 1.
            state: state before step 0, as `initial_state` or an earlier call gave it; not changed.
            start: [T, B] bool, true where step t begins an episode: the state is zeroed before
                the row is consumed.

        Returns:
            Outputs [T, B, output_size] float32 and the state after step T - 1.
        """

    def initial_state(self, batch_size: int, device: torch.device | None = None) -> CoreState:
        """Returns the all-zero state of batch_size environments."""
        return tuple(torch.zeros(batch_size, *shape, device=device) for shape in self.state_shapes)
