"""A perceptron for float vectors."""

from torch import Tensor, nn
from torch.nn import functional

from .base import Encoder
from .config import EncoderConfig


class MLP(Encoder):
    """Two hidden layers with ReLU for float vectors; features are normalised before the last."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.output_size = size = config.size
        self.first = nn.Linear(input_size, size)
        self.second = nn.Linear(size, size)
        self.norm = nn.LayerNorm(size)

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes float32 vectors [N, input_size]; see `Encoder.forward`."""
        return functional.relu(self.norm(self.second(functional.relu(self.first(observation)))))
