"""A small CNN that a CPU can train."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from .pixels import PIXEL_MAX, Convolution, Trunk

WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


class SmallTrunk(Trunk):
    """Two strided convolutions: 16 of 8x8 with stride 4, 32 of 4x4 with stride 2.

    The first is computed as a 2x2 convolution of 4x4 squares: many channels suit the matrix units.
    Its kernels are centred, so that a plain background gives 0 and what moves before it stands
    out; the features are normalised (docs/results.md has what each is worth).

    Source of the centred kernels: Qiao et al. 2019 (https://arxiv.org/abs/1903.10520), who also
    scale them.
    """

    CPU_CHUNK = 256
    make_norm = nn.LayerNorm
    STRIDE = 4

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = observation_shape
        self.first = Convolution(channels, 16, 2 * self.STRIDE, stride=self.STRIDE)
        self.second = Convolution(16, 32, 4, stride=2)
        rows, columns = (((side - 8) // 4 + 1 - 4) // 2 + 1 for side in (height, width))
        self.output_size = 32 * rows * columns

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns feature planes [N, 32, rows, columns] in dtype, of uint8 pixels [N, C, H, W]."""
        squares = space_to_depth(pixels, self.STRIDE).to(dtype)
        h = functional.relu_(functional.conv2d(squares, *self._first_over_squares(dtype)))
        return functional.relu_(self.second(h))

    def first_kernels(self) -> Tensor:
        """Returns the first layer's kernels [16, C, 8, 8], each centred."""
        return self.first.weight - self.first.weight.mean((1, 2, 3), keepdim=True)

    def _first_over_squares(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Returns weight [16, C * 16, 2, 2] and bias of the first layer, for squares of pixels."""
        assert self.first.bias is not None
        out, channels = self.first.weight.shape[:2]
        squares = (self.first_kernels() / PIXEL_MAX).view(out, channels, 2, 4, 2, 4)
        weight = squares.permute(0, 2, 4, 1, 3, 5).reshape(out, 2, 2, -1).permute(0, 3, 1, 2)
        return weight.to(dtype), self.first.bias.to(dtype)


def space_to_depth(pixels: Tensor, side: int) -> Tensor:
    """Moves each square of pixels into the channels; what is left over at the borders is dropped.

    Up to four bytes are moved as one word, as the width allows: five times as fast on a CPU.

    Args:
        pixels: [N, C, H, W] uint8.
        side: of the square, a multiple of 4.

    Returns:
        [N, C * side * side, H // side, W // side] uint8, channels-last; channels in the order
        (C, row, column).
    """
    N, C, H, W = pixels.shape
    rows, columns = H // side, W // side
    bytes_per_word = math.gcd(W, 4)
    words = pixels.contiguous().view(WORDS[bytes_per_word])
    width = side // bytes_per_word
    squares = words[:, :, : rows * side, : columns * width].reshape(
        N, C, rows, side, columns, width
    )
    moved = squares.permute(0, 2, 4, 1, 3, 5).contiguous().view(N, rows, columns, -1)
    return moved.view(torch.uint8).permute(0, 3, 1, 2)
