"""What the convolutional encoders share: precision, layout, chunks and the last layer.

They take uint8 pixels and compute in float32 or bfloat16 from float32 parameters. Their division
of pixels by 255 is folded into the first convolution's weights, so that no pass over the pixels is
spent on it. Large batches run on a CPU in chunks, whose activations fit its caches and the
allocator's pools.
"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..precision import compute_dtype
from .base import Encoder
from .config import EncoderConfig

PIXEL_MAX = 255.0


class Trunk(nn.Module, ABC):
    """The convolutions of an encoder, from pixels to feature planes."""

    CPU_CHUNK: int
    """Observations that a CPU encodes at once, about."""
    make_norm: type[nn.Module]
    """What the features of the last layer go through before their ReLU."""
    output_size: int
    """Values of the feature planes of one observation."""

    @abstractmethod
    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns planes [N, channels, rows, columns] in dtype, of uint8 pixels [N, C, H, W]."""


class Convolution(nn.Conv2d):
    """A convolution with float32 parameters that computes in the dtype of its input."""

    def forward(self, input: Tensor) -> Tensor:
        """Returns [N, out_channels, rows, columns] in the input's dtype."""
        return self.apply_weight(input, self.weight)

    def apply_weight(self, x: Tensor, weight: Tensor) -> Tensor:
        """Convolves with a weight made from this layer's own."""
        assert self.bias is not None
        dtype = x.dtype
        return functional.conv2d(
            x, weight.to(dtype), self.bias.to(dtype), self.stride, self.padding
        )


class PixelEncoder(Encoder):
    """What the convolutional encoders share: precision, layout, chunks and the last layer."""

    def __init__(self, config: EncoderConfig, trunk: Trunk) -> None:
        super().__init__()
        self.output_size = config.size
        self.precision = config.precision
        self.trunk = trunk
        self.out = nn.Linear(trunk.output_size, config.size)
        self.norm = trunk.make_norm(config.size)

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 pixels [N, C, H, W]; see `Encoder.forward`."""
        num_chunks = round(len(observation) / self.trunk.CPU_CHUNK)
        if observation.device.type != "cpu" or num_chunks <= 1:
            return self._encode(observation)
        return torch.cat([self._encode(chunk) for chunk in observation.chunk(num_chunks)])

    def dtype_on(self, device: torch.device) -> torch.dtype:
        """Returns what its precision means on a device."""
        return compute_dtype(self.precision, device)

    def arithmetic_on(self, device: torch.device) -> str:
        """Returns what it computes in; on a GPU convolutions of float32 may be in TF32."""
        dtype = self.dtype_on(device)
        if dtype == torch.float32 and device.type == "cuda" and torch.backends.cudnn.allow_tf32:
            return "tf32"
        return str(dtype).removeprefix("torch.")

    def _encode(self, observation: Tensor) -> Tensor:
        dtype = self.dtype_on(observation.device)
        features = self.trunk(observation, dtype).permute(0, 2, 3, 1).flatten(1)
        weight, bias = self.out.weight.to(dtype), self.out.bias.to(dtype)
        return functional.relu(self.norm(functional.linear(features, weight, bias).float()))
