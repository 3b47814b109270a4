"""A perceptron for vectors of symbols."""

import torch
from torch import Tensor

from .base import Encoder
from .config import EncoderConfig
from .mlp import MLP


class SymbolMLP(Encoder):
    """An MLP over one-hot symbols: object, colour and state of each cell in view, and a direction.

    Numbers of symbols: `minigrid/core/constants.py` of Farama's MiniGrid.
    """

    CELL = (11, 6, 3)
    NUM_DIRECTIONS = 4
    positions: Tensor  # [F] where a feature's symbol stands in the observation
    symbols: Tensor  # [F] uint8, the symbol for which it is 1

    def __init__(self, config: EncoderConfig, num_symbols: int) -> None:
        super().__init__()
        num_cells = num_symbols // len(self.CELL)
        sizes = [*self.CELL * num_cells, self.NUM_DIRECTIONS]
        symbols = [(at, symbol) for at, size in enumerate(sizes) for symbol in range(size)]
        positions, values = torch.tensor(symbols).unbind(1)
        self.register_buffer("positions", positions, persistent=False)
        self.register_buffer("symbols", values.to(torch.uint8), persistent=False)
        self.mlp = MLP(config, len(symbols))
        self.output_size = config.size

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 symbols [N, num_symbols]; see `Encoder.forward`."""
        one_hot = observation[:, self.positions] == self.symbols
        features: Tensor = self.mlp(one_hot.float())
        return features
