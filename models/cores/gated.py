"""What LSTM and GRU share: layers whose parameters are those of torch's modules of these names.

Parameters have the names, shapes, gate order and initialisation of `torch.nn.LSTM` and
`torch.nn.GRU(input_size, hidden_size, num_layers)`, so that state dicts can be exchanged with them.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor, nn

from ..precision import Precise
from .base import Core, CoreState
from .config import CoreConfig

NAMES = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")


class GatedLayers(Precise, Core):
    """State: `num_states` vectors [B, N] of every layer in turn, N = hidden_size."""

    num_gates: ClassVar[int]
    num_states: ClassVar[int]

    def __init__(self, config: CoreConfig, input_size: int) -> None:
        super().__init__()
        size, num_layers = config.sizes("hidden_size", "num_layers")
        self.output_size, self.num_layers = size, num_layers
        self.bptt = config.bptt
        self.kernel = config.kernel
        rows = self.num_gates * size
        for layer in range(num_layers):
            shapes = (rows, size if layer else input_size), (rows, size), (rows,), (rows,)
            for name, shape in zip(NAMES, shapes, strict=True):
                self.register_parameter(f"{name}_l{layer}", nn.Parameter(torch.empty(shape)))
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -(size**-0.5), size**-0.5)

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """That of each vector, layer by layer."""
        return ((self.output_size,),) * self.num_states * self.num_layers

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs all layers over an unroll; see `Core.forward`."""
        last: CoreState = ()
        for layer in range(self.num_layers):
            weights = [getattr(self, f"{name}_l{layer}") for name in NAMES]
            of_layer = state[layer * self.num_states : (layer + 1) * self.num_states]
            x, *after = self.run_layer(x, weights, of_layer, start)
            last += tuple(after)
        return x, last

    @abstractmethod
    def run_layer(
        self, x: Tensor, weights: list[Tensor], state: CoreState, start: Tensor
    ) -> tuple[Tensor, ...]:
        """Runs one layer over x [T, B, D]; returns its outputs [T, B, N] and its state.

        `weights` are of NAMES.
        """
