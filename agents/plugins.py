"""Makes a user's own cores and environments known, by the names that the command line gives."""

from collections.abc import Sequence

from envs import guest
from experiment import plugins
from experiment.arguments import typed_values

NAMES_CODE = ("plugin", "game", "games", "core.kind", "cores")
"""Options whose values may name code; `games` and `cores` hold several, comma-separated."""


def use_named(arguments: Sequence[str]) -> None:
    """Imports the plugins that a command line names.

    Raises:
        ValueError: there is none of such a name, or it cannot be imported.
    """
    for value in typed_values(arguments, NAMES_CODE):
        for name in value.split(","):
            if plugins.is_plugin(name):
                use(name)


def use(name: str) -> None:
    """Imports a plugin and makes it known as what it is.

    Raises:
        ValueError: there is none, or it cannot be imported.
    """
    module, attribute = plugins.load(name)
    found = getattr(module, attribute, None) or guest.from_gymnasium(attribute)
    if found is None:
        raise plugins.attribute_missing(name, module)
    if not callable(found):
        raise ValueError(f"{name} must be a function that returns an environment, it is {found!r}")
    guest.register(name, found)


def adopt(make: guest.MakeGuest) -> str:
    """Makes a function of this process known as what makes an environment; returns its name.

    Raises:
        ValueError: it has no name of its own.
    """
    name = plugins.adopt(make)
    guest.register(name, make)
    return name
