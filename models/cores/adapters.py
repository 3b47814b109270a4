"""Modules of the user's own that run an unroll themselves, as cores."""

from typing import Any

import torch
from torch import Tensor, nn

from .base import Core, CoreState


class Foreign(nn.Module):
    """A module with the signature of `nn.LSTM`, stepped a row at a time. State: hx, batch first."""

    def __init__(self, module: nn.Module, input_size: int) -> None:
        super().__init__()
        self.module = module
        y, hx = module(torch.zeros(1, 1, input_size))
        self.is_tuple = isinstance(hx, tuple)
        self.output_size = y.shape[-1]
        self.state_shapes = tuple(
            (h.shape[0], *h.shape[2:]) for h in (hx if self.is_tuple else (hx,))
        )

    def sequence(self, x: Tensor, state: CoreState) -> tuple[Tensor, CoreState]:
        """Returns what the module makes of rows [T, B, D] in one call, with no start in them."""
        hx = tuple(tensor.transpose(0, 1).contiguous() for tensor in state)
        y, after = self.module(x, hx if self.is_tuple else hx[0])
        after = after if self.is_tuple else (after,)
        return y, tuple(tensor.transpose(0, 1) for tensor in after)

    def step(self, x: Tensor, state: CoreState) -> tuple[Tensor, CoreState]:
        """Returns what it makes of a row [B, D]; see `Cell.step`."""
        y, state = self.sequence(x.unsqueeze(0), state)
        return y.squeeze(0), state


class Whole(Core):
    """A module that runs an unroll itself. State: the module's."""

    def __init__(self, module: Any) -> None:
        super().__init__()
        self.module = module
        self.output_size = module.output_size

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Those of the module."""
        shapes: tuple[tuple[int, ...], ...] = self.module.state_shapes
        return shapes

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs the module over an unroll; see `Core.forward`."""
        y, state = self.module(x, state, start)
        return y, state
