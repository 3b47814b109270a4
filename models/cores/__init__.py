"""The cores: memories that can stand in for each other between encoder and heads."""

from collections.abc import Callable
from functools import partial

from .backend import kernel_backend
from .base import Core, CoreState
from .block import Access, FastNet, FastWeightStack
from .config import CoreConfig, CoreKind
from .delta_net import DeltaNet
from .delta_rnn import DeltaRNN
from .feedforward import Feedforward
from .linear_transformer import LinearTransformer
from .lstm import LSTM
from .rdn import RDN

__all__ = [
    "CORES",
    "LSTM",
    "Access",
    "Core",
    "CoreConfig",
    "CoreKind",
    "CoreState",
    "FastNet",
    "kernel_backend",
    "make_core",
]

CORES: dict[CoreKind, Callable[[CoreConfig, int], Core]] = {
    "feedforward": Feedforward,
    "lstm": LSTM,
    "linear_transformer": partial(FastWeightStack, make_fast_net=LinearTransformer),
    "delta_net": partial(FastWeightStack, make_fast_net=DeltaNet),
    "delta_rnn": partial(FastWeightStack, make_fast_net=DeltaRNN),
    "rdn": partial(FastWeightStack, make_fast_net=RDN),
}


def make_core(config: CoreConfig, input_size: int) -> Core:
    """Builds the core that config.kind names.

    Args:
        config: kind and sizes.
        input_size: features of one input row.

    Raises:
        ValueError: no such kind.
    """
    if config.kind not in CORES:
        raise ValueError(f"unknown core {config.kind!r}; choose one of {', '.join(CORES)}")
    return CORES[config.kind](config, input_size)
