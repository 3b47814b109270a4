"""Encoders: one observation in, one feature vector out, with no memory.

The two convolutional encoders take uint8 pixels and compute in float32 or bfloat16 from float32
parameters. Their division of pixels by 255 is folded into the first convolution's weights, so
that no pass over the pixels is spent on it. Measurements behind the layout and chunk size:
`docs/throughput.md`.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

EncoderKind = Literal["impala", "small", "mlp"]
Precision = Literal["auto", "float32", "bfloat16"]

PIXEL_MAX = 255.0
CPU_CHUNK = 256  # observations whose activations fit a CPU's caches and its allocator's pools


@dataclass(frozen=True, kw_only=True, slots=True)
class EncoderConfig:
    """How an observation becomes features.

    Args:
        kind: impala (residual CNN, 2018) or small (CNN that a CPU can train) for pixels, mlp for
            vectors.
        precision: what the convolutional encoders compute in; parameters and features are
            float32. "auto" is bfloat16 on a CPU with instructions for it, else float32. The mlp
            computes in float32.
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

    def forward(self, observation: Tensor) -> Tensor:
        """Encodes uint8 pixels [N, C, H, W]; see `Encoder.forward`."""
        if observation.device.type != "cpu" or len(observation) <= CPU_CHUNK:
            return self._encode(observation)
        return torch.cat([self._encode(chunk) for chunk in torch.split(observation, CPU_CHUNK)])

    def _encode(self, observation: Tensor) -> Tensor:
        dtype = compute_dtype(self.precision, observation.device)
        pixels = observation.to(dtype, memory_format=torch.channels_last)
        features = self.trunk(pixels).flatten(1)
        weight, bias = self.out.weight.to(dtype), self.out.bias.to(dtype)
        return functional.relu(functional.linear(features, weight, bias)).float()


def convolve(x: Tensor, layer: nn.Conv2d, *, input_scale: float = 1.0) -> Tensor:
    """Applies a float32 layer in the dtype of x, to input_scale * x."""
    weight = layer.weight if input_scale == 1.0 else layer.weight * input_scale
    return functional.conv2d(
        x, weight.to(x.dtype), _cast_bias(layer, x.dtype), layer.stride, layer.padding
    )


def _cast_bias(layer: nn.Conv2d, dtype: torch.dtype) -> Tensor | None:
    return None if layer.bias is None else layer.bias.to(dtype)


class SmallTrunk(nn.Module):
    """Two strided convolutions: 16 of 8x8 with stride 4, 32 of 4x4 with stride 2.

    Source: Mnih et al. 2013 (https://arxiv.org/abs/1312.5602), section 4.1.
    """

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = observation_shape
        self.first = nn.Conv2d(channels, 16, 8, stride=4)
        self.second = nn.Conv2d(16, 32, 4, stride=2)
        rows, columns = (((side - 8) // 4 + 1 - 4) // 2 + 1 for side in (height, width))
        self.output_size = 32 * rows * columns

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns feature planes [N, 32, rows, columns] of pixels 0 to 255."""
        h = functional.relu(convolve(pixels, self.first, input_scale=1 / PIXEL_MAX))
        return functional.relu(convolve(h, self.second))


class ResidualTrunk(nn.Module):
    """The residual CNN: three sections of 16, 32, 32 channels, each halving the sides.

    Source: Espeholt et al. 2018, IMPALA, figure 3 right (https://arxiv.org/abs/1802.01561).
    """

    CHANNELS = (16, 32, 32)

    def __init__(self, observation_shape: tuple[int, ...]) -> None:
        super().__init__()
        channels, height, width = observation_shape
        sizes = (channels, *self.CHANNELS)
        scales = (1 / PIXEL_MAX, *(1.0 for _ in self.CHANNELS[1:]))
        self.sections = nn.Sequential(
            *(
                Section(size, out, input_scale=scale)
                for size, out, scale in zip(sizes, self.CHANNELS, scales, strict=False)
            )
        )
        for _ in self.CHANNELS:
            height, width = (height + 1) // 2, (width + 1) // 2
        self.output_size = self.CHANNELS[-1] * height * width

    def forward(self, pixels: Tensor) -> Tensor:
        """Returns feature planes [N, 32, rows, columns] of pixels 0 to 255."""
        planes: Tensor = self.sections(pixels)
        return functional.relu(planes)


class Section(nn.Module):
    """conv 3x3, max-pool 3x3 with stride 2, two residual blocks."""

    def __init__(self, in_channels: int, out_channels: int, *, input_scale: float) -> None:
        super().__init__()
        self.input_scale = input_scale
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualBlock(out_channels) for _ in range(2)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns [N, out_channels, ceil(H / 2), ceil(W / 2)] of input_scale * x."""
        h = convolve(x, self.conv, input_scale=self.input_scale)
        planes: Tensor = self.blocks(functional.max_pool2d(h, 3, stride=2, padding=1))
        return planes


class ResidualBlock(nn.Module):
    """x + conv(relu(conv(relu(x)))), 3x3."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """Returns planes in the shape of x."""
        h = functional.relu(convolve(functional.relu(x), self.first))
        return x + convolve(h, self.second)


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
}
SMALL_MIN_SIDE = 20  # pixels; below it the second convolution of `small` has no output


def make_encoder(
    config: EncoderConfig, observation_shape: tuple[int, ...], observation_dtype: str
) -> Encoder:
    """Builds the encoder that config.kind names.

    Args:
        config: kind, precision and size.
        observation_shape: [C, H, W] for pixels, [D] for vectors; without the batch.
        observation_dtype: "uint8" for pixels, "float32" for vectors.

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
    return ("mlp",) if dtype == "float32" and len(shape) == 1 else ()
