"""A core from a module that knows one step alone: stepped over the unroll, reset at starts."""

from typing import Protocol, cast

from torch import Tensor, nn

from ..kernels.dispatch import Bptt
from ..kernels.unroll import unroll
from .base import Core, CoreState


class Cell(Protocol):
    """One step of a memory, an `nn.Module`."""

    output_size: int
    """Features of one output row."""
    state_shapes: tuple[tuple[int, ...], ...]
    """Shape of each tensor of the state, without the batch."""

    def step(self, x: Tensor, state: CoreState) -> tuple[Tensor, CoreState]:
        """Returns y [B, output_size] and the new state of x [B, D] and the state before it."""


class Stepped(Core):
    """Steps a cell. State: the cell's.

    Args:
        cell: an `nn.Module` with what `Cell` asks for.
        bptt: see `CoreConfig`.
    """

    def __init__(self, cell: nn.Module, bptt: Bptt) -> None:
        super().__init__()
        self.cell = cell
        self.bptt = bptt
        self.output_size = self._steps.output_size

    @property
    def _steps(self) -> Cell:
        return cast(Cell, self.cell)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of the cell."""
        return self._steps.state_shapes

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Steps through an unroll; see `Core.forward`."""

        def step(x_BD: Tensor, *before: Tensor) -> tuple[Tensor, CoreState]:
            return self._steps.step(x_BD, before)

        output_shape = (x.shape[1], self.output_size)
        return unroll(step, (x,), state, start, self.bptt, output_shape)
