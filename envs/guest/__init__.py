"""Guests: a user's own environments, and all those that Gymnasium makes by name.

A game is called as its plugin is: `my_env.py:make`, a function that returns a Gymnasium
environment, or `module:EnvId`, as Gymnasium writes it. A name alone imports nothing: a guest is
made by the function that was registered for it, which the command line does for what it names.

`spaces.py` makes arrays of observations and numbers of actions, `plain.py` has one guest play with
them and `env.py` several, `picture.py` draws.
"""

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

from envs.config import EnvConfig
from envs.family import Family
from envs.scene import Scene
from envs.spec import VecEnv

MakeGuest = Callable[..., Any]
"""() or (render_mode=) -> one Gymnasium environment."""
_MAKERS: dict[str, MakeGuest] = {}
RENDER_MODE = "rgb_array"
FPS = 15.0


def register(game: str, make: MakeGuest) -> None:
    """Has a game played by what `make` returns, a new Gymnasium environment at every call."""
    assert _canonical(game), f"{game!r} is no name of a guest"
    _MAKERS[game] = make


def from_gymnasium(env_id: str) -> MakeGuest | None:
    """Returns what makes an environment by its id; None where Gymnasium has none of this name.

    The module that registers the id must have been imported.

    Raises:
        ValueError: something that the environment needs is not installed.
    """
    import gymnasium
    from gymnasium.envs.registration import load_env_creator

    try:
        spec = gymnasium.spec(env_id)
    except gymnasium.error.Error:
        return None
    creator: Any = spec.entry_point
    try:
        creator = load_env_creator(creator) if isinstance(creator, str) else creator
    except (ImportError, gymnasium.error.Error) as error:
        raise ValueError(f"{env_id} cannot be made: {error}") from error
    make = partial(gymnasium.make, spec, disable_env_checker=True)
    takes = {p.name for p in inspect.signature(creator).parameters.values()}
    modes = getattr(creator, "metadata", {}).get("render_modes", ())
    draws = RENDER_MODE in modes and not takes.isdisjoint({"render_mode", "kwargs"})
    return partial(make, render_mode=RENDER_MODE) if draws else make


def _canonical(game: str) -> str | None:
    return game if ":" in game else None


def _make(game: str, config: EnvConfig, num_envs: int, seed: int) -> VecEnv:
    if game not in _MAKERS:
        raise ValueError(
            f"{game} is code from outside, which a saved run or a config file does not import: "
            f"name it on the command line too, by --plugin {game}"
        )
    from envs.guest.env import GuestRows

    return GuestRows(game, _MAKERS[game], num_envs, seed)


def _scene(env: Any, config: EnvConfig) -> Scene:
    """Shows the guest's own picture, or what the policy sees where it has none."""
    from envs.guest.picture import picture_of

    names = [str(action) for action in range(env.spec.num_actions)]
    return Scene(env=env, picture=picture_of(env), action_names=names, fps=env.render_fps or FPS)


FAMILY = Family(
    name="your own",
    usage="FILE.py:FUNCTION or MODULE:ENV_ID, such as gymnasium:CartPole-v1",
    games=(),
    canonical=_canonical,
    make=_make,
    num_games=100,
    scene=_scene,
)
