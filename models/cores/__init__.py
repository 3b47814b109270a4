"""The cores: memories that can stand in for each other between encoder and heads."""

from collections.abc import Callable
from functools import partial

from models.cores.backend import kernel_backend
from models.cores.base import Core, CoreState
from models.cores.block import Access, FastNet, FastWeightStack
from models.cores.config import CoreConfig, CoreKind
from models.cores.delta_net import DeltaNet
from models.cores.delta_rnn import DeltaRNN
from models.cores.feedforward import Feedforward
from models.cores.linear_transformer import LinearTransformer
from models.cores.lstm import LSTM
from models.cores.rdn import RDN

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
