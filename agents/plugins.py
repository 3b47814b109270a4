"""Makes a user's own cores and environments known, by the names that the command line gives."""

from collections.abc import Iterator, Sequence
from typing import Any

from torch import nn

from envs import guest
from experiment import plugins
from experiment.arguments import typed_values
from models import cores

GAMES = ("plugin", "game", "games")
CORES = ("core.kind", "cores")
"""Options whose values may name code; `games` and `cores` hold several, comma-separated."""
BPTT_1 = "-bptt1"
"""Behind a core's name in `cores`."""


def use_named(arguments: Sequence[str]) -> None:
    """Imports the plugins that a command line names.

    Raises:
        ValueError: there is none of such a name, or it cannot be imported.
    """
    for name in _named(arguments, GAMES):
        use(name)
    for name in _named(arguments, CORES):
        use(name)
        if not cores.is_registered(name):
            raise ValueError(f"{name} is no core: it must be a class of torch.nn.Module")


def use(name: str) -> None:
    """Imports a plugin and makes it known as what it is.

    Raises:
        ValueError: there is none, or it cannot be imported.
    """
    module, attribute = plugins.load(name)
    found = getattr(module, attribute, None) or guest.from_gymnasium(attribute)
    if found is None:
        raise plugins.attribute_missing(name, module)
    _register(name, found)


def adopt(found: Any) -> str:
    """Makes a core's class, or what makes an environment, known; returns the name it has then.

    Raises:
        ValueError: it is neither, or has no name of its own.
    """
    name = plugins.adopt(found)
    _register(name, found)
    return name


def _register(name: str, found: Any) -> None:
    if isinstance(found, type) and issubclass(found, nn.Module):
        cores.register(name, found)
    elif callable(found):
        guest.register(name, found)
    else:
        raise ValueError(
            f"{name} must be a function that returns an environment, or a core's class, "
            f"it is {found!r}"
        )


def _named(arguments: Sequence[str], options: Sequence[str]) -> Iterator[str]:
    for value in typed_values(arguments, options):
        names = (name.removesuffix(BPTT_1) for name in value.split(","))
        yield from filter(plugins.is_plugin, names)
