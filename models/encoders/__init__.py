"""Encoders: one observation in, one feature vector out, with no memory."""

from collections.abc import Callable
from dataclasses import replace

from .base import Encoder
from .config import EncoderConfig, EncoderKind
from .impala import ResidualTrunk
from .mlp import MLP
from .orthogonal import initialise_orthogonal
from .pixels import PixelEncoder
from .small import SmallTrunk
from .symbols import SymbolMLP

__all__ = ["ENCODERS", "Encoder", "EncoderConfig", "EncoderKind", "make_encoder", "resolved"]

Sizes = tuple[int, ...]
ENCODERS: dict[EncoderKind, Callable[[EncoderConfig, Sizes, Sizes], Encoder]] = {
    "impala": lambda config, shape, symbols: PixelEncoder(config, ResidualTrunk(shape)),
    "small": lambda config, shape, symbols: initialise_orthogonal(
        PixelEncoder(config, SmallTrunk(shape))
    ),
    "mlp": lambda config, shape, symbols: initialise_orthogonal(MLP(config, shape[0])),
    "symbols": lambda config, shape, symbols: initialise_orthogonal(SymbolMLP(config, symbols)),
}
SMALL_MIN_SIDE = 20  # pixels; below it the second convolution of `small` has no output


def make_encoder(
    config: EncoderConfig,
    observation_shape: Sizes,
    observation_dtype: str,
    symbols: Sizes = (),
) -> Encoder:
    """Builds the encoder that config.kind names; see `resolved`."""
    config = resolved(config, observation_shape, observation_dtype, symbols)
    return ENCODERS[config.kind](config, observation_shape, symbols)


def resolved(
    config: EncoderConfig,
    observation_shape: Sizes,
    observation_dtype: str,
    symbols: Sizes = (),
) -> EncoderConfig:
    """Returns settings whose kind is one of `ENCODERS`, and fits the observation.

    Args:
        config: kind, precision and size.
        observation_shape: [C, H, W] for pixels, [D] for vectors; without the batch.
        observation_dtype: "uint8" for pixels and symbols, "float32" for other vectors.
        symbols: of a vector of symbols, how many values each entry can have.

    Raises:
        ValueError: no such kind, or one that does not fit the observation.
    """
    if config.kind != "auto" and config.kind not in ENCODERS:
        raise ValueError(
            f"unknown encoder {config.kind!r}; choose auto or one of {', '.join(ENCODERS)}"
        )
    fitting = _encoders_for(observation_shape, observation_dtype, symbols)
    kind = fitting[0] if config.kind == "auto" and fitting else config.kind
    if kind not in fitting:
        raise ValueError(
            f"encoder {config.kind!r} does not fit {observation_dtype} observations of shape "
            f"{tuple(observation_shape)}; {' or '.join(fitting) or 'no encoder'} would"
        )
    return replace(config, kind=kind)


def _encoders_for(shape: Sizes, dtype: str, symbols: Sizes) -> tuple[EncoderKind, ...]:
    if dtype == "uint8" and len(shape) == 3:
        return ("impala", "small") if min(shape[1:]) >= SMALL_MIN_SIDE else ("impala",)
    if dtype == "uint8" and symbols and shape == (len(symbols),):
        return ("symbols",)
    return ("mlp",) if dtype == "float32" and len(shape) == 1 else ()
