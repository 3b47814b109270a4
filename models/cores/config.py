"""The settings of a core: which memory, how large, how it is trained and what computes it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from ..kernels.dispatch import Bptt
from .args import Value

KernelName = Literal["auto", "reference", "cpu", "triton"]
SIZES = ("num_layers", "hidden_size", "num_heads", "feedforward_size")
MAX_LAYERS = 256


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Memory of the policy: what all cores share.

    A size that is null is the core's own default; a core ignores the sizes it has no use for. In
    the settings of a run every size is a number, or null where its core has none. `fitted` turns
    `parameters` into sizes.

    Args:
        kind: name of a core, as its file in `models/cores`.
        bptt: "full" sends gradient through the state across the unroll, up to episode starts; 1
            detaches the state before every step, as the 2021 code did for its fast-weight cores.
        kernel: implementation of the recurrence; "auto" takes the fastest that fits the device,
            a name runs that one or raises.
        num_layers: layers or residual blocks, each with a state of its own, >= 1.
        hidden_size: features between the layers, a multiple of num_heads where a core has heads.
        num_heads: heads per layer, of hidden_size / num_heads features: a fast weight matrix each.
        feedforward_size: hidden units of the feed-forward half of a block, >= 1.
        parameters: of the core, within 5 %: decides hidden_size, and evens out by feedforward_size;
            null leaves both as they are.
        args: the core's own settings by name, set as core.args.NAME; `--core.kind KIND --help`
            shows those of a core.
    """

    kind: str = "lstm"
    bptt: Bptt = "full"
    kernel: KernelName = field(default="auto", metadata={"role": "incidental"})
    num_layers: int | None = None
    hidden_size: int | None = None
    num_heads: int | None = None
    feedforward_size: int | None = None
    parameters: int | None = None
    args: Mapping[str, Value] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        for name in (*SIZES, "parameters"):
            size = getattr(self, name)
            if size is not None and size < 1:
                raise ValueError(f"core.{name} must be >= 1, got {size}")
        if self.num_layers is not None and self.num_layers > MAX_LAYERS:
            raise ValueError(f"core.num_layers must be <= {MAX_LAYERS}, got {self.num_layers}")
        if self.bptt not in ("full", 1):
            raise ValueError(f'core.bptt must be "full" or 1, got {self.bptt!r}')

    def sizes(self, *names: str) -> tuple[int, ...]:
        """Returns sizes by name, of settings that `resolved` has completed."""
        sizes = tuple(getattr(self, name) for name in names)
        assert None not in sizes, f"{names} of unresolved settings"
        return sizes
