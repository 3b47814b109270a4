"""LSTM layers, the gated memory that fast weight programmers are compared with.

Parameters have the names, shapes, gate order (i, f, g, o) and initialisation of
`torch.nn.LSTM(input_size, hidden_size, num_layers)`, so that state dicts can be exchanged with it.
"""

import torch
from torch import Tensor, nn

from ..kernels import lstm
from ..precision import Precise
from .base import Core, CoreState
from .config import CoreConfig
from .spec import CoreSpec


class LSTM(Precise, Core):
    """State: h [B, N] and c [B, N] of every layer in turn, N = hidden_size."""

    def __init__(self, config: CoreConfig, input_size: int) -> None:
        super().__init__()
        size, num_layers = config.sizes("hidden_size", "num_layers")
        self.output_size, self.num_layers = size, num_layers
        self.bptt = config.bptt
        self.kernel = config.kernel
        for layer in range(num_layers):
            shapes = {
                "weight_ih": (4 * size, size if layer else input_size),
                "weight_hh": (4 * size, size),
                "bias_ih": (4 * size,),
                "bias_hh": (4 * size,),
            }
            for name, shape in shapes.items():
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(torch.empty(shape)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Hidden and cell vector, once per layer."""
        return ((self.output_size,), (self.output_size,)) * self.num_layers

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs all layers over an unroll; see `Core.forward`."""
        last: CoreState = ()
        for layer in range(self.num_layers):
            h, c = state[2 * layer : 2 * layer + 2]
            x, h, c = self._layer(layer, x, h, c, start)
            last += (h, c)
        return x, last

    def _layer(
        self, layer: int, x: Tensor, h: Tensor, c: Tensor, start: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Runs one layer; returns its outputs [T, B, N] and its state."""
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        w_ih, w_hh, b_ih, b_hh = (getattr(self, f"{name}_l{layer}") for name in names)
        gates = self.dense(x.flatten(0, 1), w_ih, b_ih + b_hh).view(*x.shape[:2], -1)
        return lstm(gates, w_hh, h, c, start, bptt=self.bptt, backend=self.kernel)


CORE = CoreSpec(
    make=LSTM,
    sizes={"hidden_size": 256, "num_layers": 1},
    kernel="lstm",
    state_names=("output h", "cell state c"),
    color=("#0072b2", "#56b4e9"),
    marker="o",
)
