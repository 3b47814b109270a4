"""Encoders: one observation in, one feature vector out, with no memory.

The two convolutional encoders take uint8 pixels and compute in float32 or bfloat16 from float32
parameters. Their division of pixels by 255 is folded into the first convolution's weights, so
that no pass over the pixels is spent on it. Large batches run on a CPU in chunks, whose activations
fit its caches and the allocator's pools.
"""

import itertools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

EncoderKind = Literal["impala", "small", "mlp", "minigrid"]
Precision = Literal["auto", "float32", "bfloat16"]

PIXEL_MAX = 255.0
WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32}


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """How an observation becomes features.

    Args:
        kind: impala (residual CNN, 2018) or small (CNN that a CPU can train) for pixels, mlp for
            float vectors, minigrid for vectors of symbols.
        precision: what the convolutional encoders compute in; parameters and features are
            float32. "auto" is bfloat16 on a CPU with instructions for it, else float32. The others
            compute in float32.
        output_size: features, >= 1.
    """

    kind: EncoderKind = "small"
    precision: Precision = "auto"
    output_size: int = 256

    def __post_init__(self) -> None:
        if self.output_size < 1:
            raise ValueError(f"encoder output_size must be >= 1, got {self.output_size}")
        if self.precision not in ("auto", "float32", "bfloat16"):
            raise ValueError(
                f"encoder precision must be auto, float32 or bfloat16, got {self.precision!r}"
            )


@lru_cache
def cpu_has_bfloat16() -> bool:
    """Returns whether this CPU multiplies bfloat16 in hardware (AVX-512 BF16 or AMX)."""
    cpu = torch.cpu
    return bool(cpu._is_avx512_bf16_supported() or cpu._is_amx_tile_supported())


def compute_dtype(precision: Precision, device: torch.device) -> torch.dtype:
    """Returns the dtype that a precision setting means on a device."""
    if precision == "auto":
        fast = device.type == "cpu" and cpu_has_bfloat16()
        return torch.bfloat16 if fast else torch.float32
    return torch.bfloat16 if precision == "bfloat16" else torch.float32


class Encoder(nn.Module, ABC):
    """A function of single observations."""

    output_size: int
    """F, features of one observation."""

    @abstractmethod
    def forward(self, observation: Tensor) -> Tensor:
        """Encodes a batch.

        Args:
            observation: [N, *observation_shape] in the dtype of the environment.

        Returns:
            Features [N, F], float32.
        """


class PixelEncoder(Encoder):
    """What the convolutional encoders share: precision, layout, chunks and the last layer."""

    def __init__(self, config: EncoderConfig, trunk: "SmallTrunk | ResidualTrunk") -> None:
        super().__init__()
        self.output_size = config.output_size
        self.precision = config.precision
        self.trunk = trunk
        self.out = nn.Linear(trunk.output_size, config.output_size)
        self.norm = trunk.make_norm(config.output_size)

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 pixels [N, C, H, W]; see `Encoder.forward`."""
        num_chunks = round(len(observation) / self.trunk.CPU_CHUNK)
        if observation.device.type != "cpu" or num_chunks <= 1:
            return self._encode(observation)
        return torch.cat([self._encode(chunk) for chunk in observation.chunk(num_chunks)])

    def _encode(self, observation: Tensor) -> Tensor:
        dtype = compute_dtype(self.precision, observation.device)
        features = self.trunk(observation, dtype).permute(0, 2, 3, 1).flatten(1)
        weight, bias = self.out.weight.to(dtype), self.out.bias.to(dtype)
        return functional.relu(self.norm(functional.linear(features, weight, bias).float()))


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
    moved = squares.permute(0, 2, 4, 1, 3, 5).reshape(N, rows, columns, -1)
    return moved.view(torch.uint8).permute(0, 3, 1, 2)


class SmallTrunk(nn.Module):
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


class ResidualTrunk(nn.Module):
    """The residual CNN: three sections of 16, 32, 32 channels, each halving the sides.

    Sizes: the agents of Irie et al. 2021 (https://arxiv.org/abs/2106.06295), in their code.
    """

    CHANNELS = (16, 32, 32)
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
        x = pixels.contiguous(memory_format=torch.channels_last).to(dtype)
        scale = 1 / PIXEL_MAX
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
        """Returns [N, out_channels, ceil(H / 2), ceil(W / 2)] of scale * x."""
        h = self.conv.apply_weight(x, self.conv.weight * scale)
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


class MLP(Encoder):
    """Two hidden layers with ReLU for float vectors."""

    def __init__(self, config: EncoderConfig, input_size: int) -> None:
        super().__init__()
        self.output_size = size = config.output_size
        self.first = nn.Linear(input_size, size)
        self.second = nn.Linear(size, size)

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes float32 vectors [N, input_size]; see `Encoder.forward`."""
        return functional.relu(self.second(functional.relu(self.first(observation))))


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
        sizes = torch.tensor([*self.CELL * num_cells, self.NUM_DIRECTIONS])
        positions = torch.arange(num_symbols).repeat_interleave(sizes)
        symbols = torch.cat([torch.arange(size, dtype=torch.uint8) for size in sizes.tolist()])
        self.register_buffer("positions", positions, persistent=False)
        self.register_buffer("symbols", symbols, persistent=False)
        self.mlp = MLP(config, len(symbols))
        self.output_size = config.output_size

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 symbols [N, num_symbols]; see `Encoder.forward`."""
        one_hot = observation[:, self.positions] == self.symbols
        features: Tensor = self.mlp(one_hot.float())
        return features


def initialise_orthogonal(encoder: PixelEncoder) -> PixelEncoder:
    """Gives every layer orthogonal weights of gain sqrt(2) and zero biases, in place.

    Under torch's default the few pixels that move in Pong change a feature by 0.0007 (standard
    deviation over time, 2026-11-24); this keeps their signal through the layers.

    Source: Saxe et al. 2013 (https://arxiv.org/abs/1312.6120).
    """
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return encoder


ENCODERS: dict[EncoderKind, Callable[[EncoderConfig, tuple[int, ...]], Encoder]] = {
    "impala": lambda config, shape: PixelEncoder(config, ResidualTrunk(shape)),
    "small": lambda config, shape: initialise_orthogonal(PixelEncoder(config, SmallTrunk(shape))),
    "mlp": lambda config, shape: MLP(config, shape[0]),
    "minigrid": lambda config, shape: SymbolMLP(config, shape[0]),
}
SMALL_MIN_SIDE = 20  # pixels; below it the second convolution of `small` has no output


def make_encoder(
    config: EncoderConfig, observation_shape: tuple[int, ...], observation_dtype: str
) -> Encoder:
    """Builds the encoder that config.kind names.

    Args:
        config: kind, precision and size.
        observation_shape: [C, H, W] for pixels, [D] for vectors; without the batch.
        observation_dtype: "uint8" for pixels and symbols, "float32" for other vectors.

    Raises:
        ValueError: no such kind, or one that does not fit the observation.
    """
    if config.kind not in ENCODERS:
        raise ValueError(f"unknown encoder {config.kind!r}; choose one of {', '.join(ENCODERS)}")
    fitting = _encoders_for(observation_shape, observation_dtype)
    if config.kind not in fitting:
        raise ValueError(
            f"encoder {config.kind!r} does not fit {observation_dtype} observations of shape "
            f"{tuple(observation_shape)}; {' or '.join(fitting) or 'no encoder'} would"
        )
    return ENCODERS[config.kind](config, observation_shape)


def _encoders_for(shape: tuple[int, ...], dtype: str) -> tuple[EncoderKind, ...]:
    if dtype == "uint8" and len(shape) == 3:
        return ("impala", "small") if min(shape[1:]) >= SMALL_MIN_SIDE else ("impala",)
    if dtype == "uint8" and len(shape) == 1:
        return ("minigrid",)
    return ("mlp",) if dtype == "float32" and len(shape) == 1 else ()
