"""The cores: memories that can stand in for each other between encoder and heads."""

from collections.abc import Callable
from functools import partial

from ..cores.backend import kernel_backend
from ..cores.base import Core, CoreState
from ..cores.block import Access, FastNet, FastWeightStack
from ..cores.config import CoreConfig, CoreKind
from ..cores.delta_net import DeltaNet
from ..cores.delta_rnn import DeltaRNN
from ..cores.feedforward import Feedforward
from ..cores.linear_transformer import LinearTransformer
from ..cores.lstm import LSTM
from ..cores.rdn import RDN

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
