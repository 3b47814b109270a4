"""What every encoder is: a function of single observations, with no memory."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A function of single observations."""

    output_size: int
    """F, features of one observation."""

    def arithmetic_on(self, device: torch.device) -> str:
        """Returns what it computes in on a device: float32, bfloat16 or tf32."""
        return "float32"

    @abstractmethod
    def forward(self, observation: Tensor) -> Tensor:
        """Encodes a batch.

        Args:
            observation: [N, *observation_shape] in the dtype of the environment.

        Returns:
            Features [N, F], float32.
        """
