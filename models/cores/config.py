"""The settings of a core: which memory, how large, how it is trained and what computes it."""

from dataclasses import dataclass
from typing import Literal

CoreKind = Literal["feedforward", "lstm", "linear_transformer", "delta_net", "delta_rnn", "rdn"]
Bptt = Literal["full", 1]
KernelName = Literal["auto", "reference", "cpu", "triton", "cudnn"]
MAX_LAYERS = 256


@dataclass(frozen=True, kw_only=True)
class CoreConfig:
    """Memory of the policy.

    The defaults are the sizes of Irie, Schlag, Csordas, Schmidhuber 2021
    (https://arxiv.org/abs/2106.06295). A core ignores the sizes it has no use for.

    Args:
        kind: feedforward (no memory), lstm, or a fast weight programmer: linear_transformer,
            delta_net, delta_rnn, rdn.
        bptt: "full" sends gradient through the state across the unroll, up to episode starts; 1
            detaches the state before every step, as the 2021 code did for its fast-weight cores.
        kernel: implementation of the recurrence; "auto" takes the fastest that fits the device,
            a name runs that one or raises; cudnn is of lstm alone.
        num_layers: residual blocks of a fast-weight core, >= 1.
        hidden_size: features of the residual stream, a multiple of num_heads.
        num_heads: fast weight matrices per layer, each square with side hidden_size / num_heads.
        feedforward_size: hidden units of the feed-forward half of a block, >= 1.
        lstm_size: hidden units of the LSTM, >= 1.
    """

    kind: CoreKind = "lstm"
    bptt: Bptt = "full"
    kernel: KernelName = "auto"
    num_layers: int = 2
    hidden_size: int = 128
    num_heads: int = 4
    feedforward_size: int = 512
    lstm_size: int = 256

    def __post_init__(self) -> None:
        for name in ("num_layers", "hidden_size", "num_heads", "feedforward_size", "lstm_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"core.{name} must be >= 1, got {getattr(self, name)}")
        if self.num_layers > MAX_LAYERS:
            raise ValueError(f"core.num_layers must be <= {MAX_LAYERS}, got {self.num_layers}")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                f"core.hidden_size must be a multiple of core.num_heads = {self.num_heads}, "
                f"got {self.hidden_size}"
            )
        if self.bptt not in ("full", 1):
            raise ValueError(f'core.bptt must be "full" or 1, got {self.bptt!r}')
