"""Every built-in core by name, one line each. Nothing else in the repository lists them."""

from collections.abc import Iterable
from difflib import get_close_matches
from importlib import import_module

from .base import Core
from .config import CoreConfig
from .guest import guest_spec, is_guest, is_registered
from .spec import CoreSpec

NAMES = (  # files of this folder, in the order of tables and figures
    "lstm",
    "gru",
    "mlstm",
    "lru",
    "delta_net",
    "gated_delta_net",
    "delta_product",
    "delta_rnn",
    "rdn",
    "srwm",
    "linear_transformer",
    "transformer",
    "feedforward",
)
CORES: dict[str, CoreSpec] = {name: import_module(f".{name}", __package__).CORE for name in NAMES}


def core_spec(kind: str) -> CoreSpec:
    """Returns what is known of a core, built-in or a guest.

    Raises:
        ValueError: there is none of this name.
    """
    if is_guest(kind):
        return guest_spec(kind)
    if kind not in CORES:
        close = get_close_matches(kind.lower(), CORES, n=1)
        hint = f"; close: {close[0]}" if close else ""
        raise ValueError(f"core.kind must be one of {', '.join(CORES)}, got {kind!r}{hint}")
    return CORES[kind]


def resolved(config: CoreConfig) -> CoreConfig:
    """Returns complete settings; see `CoreSpec.resolve`.

    Those of a guest that was not imported are complete as they are.

    Raises:
        ValueError: no such core, or sizes that do not fit each other.
    """
    if is_guest(config.kind) and not is_registered(config.kind):
        return config
    return core_spec(config.kind).resolve(config)


def make_core(config: CoreConfig, input_size: int) -> Core:
    """Builds the core that config.kind names.

    Args:
        config: kind and sizes.
        input_size: features of one input row.

    Raises:
        ValueError: no such core, a guest that is none, or sizes that do not fit each other.
    """
    return core_spec(config.kind).make(resolved(config), input_size)


def refuse_unused(kind: str, settings: Iterable[str]) -> None:
    """Raises ValueError where settings were asked for that make no difference to a core.

    Args:
        kind: the core.
        settings: full names, such as "core.num_layers"; others than the core's make no difference.
    """
    spec = core_spec(kind)
    if unused := sorted({f"core.{name}" for name in spec.unused}.intersection(settings)):
        takes = ", ".join(f"core.{name}" for name in spec.sizes) or "none of the shared sizes"
        raise ValueError(f"{kind} has no use for {', '.join(unused)}; it takes {takes}")
