"""One LSTM layer, the gated memory that fast weight programmers are compared with.

Parameters have the names, shapes, gate order (i, f, g, o) and initialisation of
`torch.nn.LSTM(input_size, lstm_size)`, so that state dicts can be exchanged with it.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.lstm import lstm
from .base import Core, CoreState
from .config import CoreConfig


class LSTM(Core):
    """State: h [B, N] and c [B, N], N = lstm_size."""

    def __init__(self, config: CoreConfig, input_size: int) -> None:
        super().__init__()
        self.output_size = size = config.lstm_size
        self.bptt = config.bptt
        self.kernel = config.kernel
        self.weight_ih_l0 = nn.Parameter(torch.empty(4 * size, input_size))
        self.weight_hh_l0 = nn.Parameter(torch.empty(4 * size, size))
        self.bias_ih_l0 = nn.Parameter(torch.empty(4 * size))
        self.bias_hh_l0 = nn.Parameter(torch.empty(4 * size))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Hidden and cell vector."""
        return (self.output_size,), (self.output_size,)

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs the layer over an unroll; see `Core.forward`."""
        T, B, _ = x.shape
        h, c = state
        bias = self.bias_ih_l0 + self.bias_hh_l0
        gates = functional.linear(x.flatten(0, 1), self.weight_ih_l0, bias).view(T, B, -1)
        y, h, c = lstm(gates, self.weight_hh_l0, h, c, start, bptt=self.bptt, backend=self.kernel)
        return y, (h, c)
