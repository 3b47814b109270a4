"""The residual CNN of IMPALA."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from .pixels import PIXEL_MAX, Convolution, Trunk


class ResidualTrunk(Trunk):
    """The residual CNN: three sections of 16, 32, 32 channels, each halving the sides.

    Sizes: the agents of Irie et al. 2021 (https://arxiv.org/abs/2106.06295), in their code.
    """

    CHANNELS = (16, 32, 32)
    CUDA_MULTIPLE = 8
    """Input channels, filled up with zeros: cuDNN has no fast bfloat16 kernel for four."""
    CPU_CHUNK = 64
    make_norm = nn.Identity

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = observation_shape
        sizes = itertools.pairwise((channels, *self.CHANNELS))
        self.sections = nn.ModuleList(Section(size, out) for size, out in sizes)
        for _ in self.CHANNELS:
            height, width = (height + 1) // 2, (width + 1) // 2
        self.output_size = self.CHANNELS[-1] * height * width

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns feature planes [N, 32, rows, columns] in dtype, of uint8 pixels [N, C, H, W]."""
        if pixels.device.type == "cuda":
            pixels = with_channels(pixels, -pixels.shape[1] % self.CUDA_MULTIPLE)
        x = pixels.contiguous(memory_format=torch.channels_last).to(dtype)
        return self.planes(x, 1 / PIXEL_MAX)

    def planes(self, x: Tensor, scale: float) -> Tensor:
        """Returns feature planes of scale * x, x [N, C, H, W] in any layout, in x's dtype."""
        for section in self.sections:
            x = section(x, scale)
            scale = 1.0
        planes: Tensor = functional.relu(x)
        return planes


class Section(nn.Module):
    """conv 3x3, max-pool 3x3 with stride 2, two residual blocks."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv = Convolution(in_channels, out_channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(out_channels) for _ in range(2)))

    def forward(self, x: Tensor, scale: float) -> Tensor:
        """Returns [N, out_channels, ceil(H / 2), ceil(W / 2)] of scale * x.

        Channels of x beyond the convolution's own meet zeros.
        """
        weight = with_channels(self.conv.weight * scale, x.shape[1] - self.conv.in_channels)
        h = self.conv.apply_weight(x, weight)
        planes: Tensor = self.blocks(functional.max_pool2d(h, 3, stride=2, padding=1))
        return planes


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = Convolution(channels, channels, 3, padding=1)
        self.second = Convolution(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns planes in the shape of x."""
        h = functional.relu_(self.first(functional.relu(x)))
        planes: Tensor = x + self.second(h)
        return planes


def with_channels(x: Tensor, num: int) -> Tensor:
    """Returns x [N, C, H, W] with `num` channels of zeros after its own."""
    return functional.pad(x, (0, 0, 0, 0, 0, num)) if num else x
