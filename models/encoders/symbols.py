"""A perceptron for vectors of symbols."""

import torch
from torch import Tensor

from .base import Encoder
from .config import EncoderConfig
from .mlp import MLP


class SymbolMLP(Encoder):
    """An MLP over one-hot symbols.

    Args:
        config: its size.
        symbols: how many values each entry of an observation can have.
    """

    positions: Tensor  # [F] where a feature's symbol stands in the observation
    values: Tensor  # [F] uint8, the symbol for which it is 1

    def __init__(self, config: EncoderConfig, symbols: tuple[int, ...]) -> None:
        super().__init__()
        features = [(at, value) for at, count in enumerate(symbols) for value in range(count)]
        positions, values = torch.tensor(features).unbind(1)
        self.register_buffer("positions", positions, persistent=False)
        self.register_buffer("values", values.to(torch.uint8), persistent=False)
        self.mlp = MLP(config, len(features))
        self.output_size = config.size

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 symbols [N, len(symbols)]; see `Encoder.forward`."""
        one_hot = observation[:, self.positions] == self.values
        features: Tensor = self.mlp(one_hot.float())
        return features
