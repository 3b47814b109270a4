"""Settings of the encoders."""

from dataclasses import dataclass
from typing import Literal

EncoderKind = Literal["impala", "small", "mlp", "minigrid"]
Precision = Literal["auto", "float32", "bfloat16"]


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
