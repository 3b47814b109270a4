"""Other ways to compute the encoders' convolutions: the same network, at another speed."""

import torch
from torch import Tensor
from torch.nn import functional

from models.encoders.impala import ResidualTrunk
from models.encoders.pixels import PIXEL_MAX, Trunk
from models.encoders.small import SmallTrunk, space_to_depth


class PlanesInRows(SmallTrunk):
    """Planes one after the other in memory, not pixel after pixel with all of its channels."""

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns what `SmallTrunk` does."""
        squares = space_to_depth(pixels, self.STRIDE).contiguous().to(dtype)
        weight, bias = self._first_over_squares(dtype)
        h = functional.relu_(functional.conv2d(squares, weight.contiguous(), bias))
        return functional.relu_(self.second(h))


class DividedPixels(SmallTrunk):
    """Pixels divided by 255, not the weights."""

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns what `SmallTrunk` does."""
        squares = space_to_depth(pixels, self.STRIDE).to(dtype) / PIXEL_MAX
        weight, bias = self._first_over_squares(torch.float32)
        weight, bias = (weight * PIXEL_MAX).to(dtype), bias.to(dtype)
        return functional.relu_(
            self.second(functional.relu_(functional.conv2d(squares, weight, bias)))
        )


class OverPixels(SmallTrunk):
    """The first convolution as it is written: 8x8 over pixels, with stride 4."""

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns what `SmallTrunk` does."""
        weight = (self.first_kernels() / PIXEL_MAX).to(dtype)
        assert self.first.bias is not None
        bias = self.first.bias.to(dtype)
        h = functional.relu_(functional.conv2d(pixels.to(dtype), weight, bias, self.STRIDE))
        return functional.relu_(self.second(h))


class PlanesInRowsResidual(ResidualTrunk):
    """See `PlanesInRows`."""

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns what `ResidualTrunk` does."""
        return self.planes(pixels.contiguous().to(dtype), 1 / PIXEL_MAX)


class DividedPixelsResidual(ResidualTrunk):
    """See `DividedPixels`."""

    def forward(self, pixels: Tensor, dtype: torch.dtype) -> Tensor:
        """Returns what `ResidualTrunk` does."""
        x = pixels.contiguous(memory_format=torch.channels_last).to(dtype)
        return self.planes(x / PIXEL_MAX, 1.0)


VARIANTS: dict[str, dict[str, type[Trunk]]] = {
    "small": {
        "planes in rows, not channels-last": PlanesInRows,
        "pixels divided by 255, not the weights": DividedPixels,
        "first convolution over pixels, not squares": OverPixels,
    },
    "impala": {
        "planes in rows, not channels-last": PlanesInRowsResidual,
        "pixels divided by 255, not the weights": DividedPixelsResidual,
    },
}
