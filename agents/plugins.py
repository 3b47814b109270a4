"""Makes a user's own cores and environments known, by the names that the command line gives."""

from collections.abc import Sequence
from functools import partial
from types import ModuleType
from typing import Any

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
    found = getattr(module, attribute, None)
    guest.register(name, _from_gymnasium(name, module, attribute) if found is None else found)


def _from_gymnasium(name: str, module: ModuleType, env_id: str) -> Any:
    """Returns what makes an environment that the module has registered with Gymnasium.

    Raises:
        ValueError: it has not.
    """
    import gymnasium

    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error:
        raise plugins.attribute_missing(name, module) from None
    creator = spec.entry_point
    if isinstance(creator, str):
        creator = gymnasium.envs.registration.load_env_creator(creator)
    make = partial(gymnasium.make, spec, disable_env_checker=True)
    if "rgb_array" not in getattr(creator, "metadata", {}).get("render_modes", ()):
        return make
    return partial(make, render_mode="rgb_array")
