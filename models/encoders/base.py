"""What every encoder is: a function of single observations, with no memory."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn


class Encoder(nn.Module, ABC):
    """A function of single observations."""

    output_size: int
    """F, features of one observation."""

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """Returns what it computes in on a device."""
        return torch.float32

    @abstractmethod
    def forward(self, observation: Tensor) -> Tensor:
        """Encodes a batch.

        Args:
            observation: [N, *observation_shape] in the dtype of the environment.

        Returns:
            Features [N, F], float32.
        """
