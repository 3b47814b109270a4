"""Settings of the encoders."""

from dataclasses import dataclass
from typing import Literal

from ..precision import Precision, refuse_unknown

EncoderKind = Literal["auto", "impala", "small", "mlp", "symbols"]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """How an observation becomes features.

    Args:
        kind: impala (residual CNN, 2018) or small (CNN that a CPU can train) for pixels, mlp for
            float vectors, symbols for vectors of them; auto is the first of these that fits, and
            a run's config.yaml holds which one that was.
        precision: what the convolutional encoders compute in; parameters and features are
            float32. "auto" is bfloat16 on a CPU or GPU with instructions for it, else float32.
            The others compute in float32.
        size: features of one observation that the core is given, >= 1.
    """

    kind: EncoderKind = "auto"
    size: int = 256
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.size < 1:
            raise ValueError(f"encoder.size must be >= 1, got {self.size}")
        refuse_unknown("encoder.precision", self.precision)
