"""Environments by name, from the families below; a new family is a file and its name here."""

from difflib import get_close_matches
from typing import get_args

from envs import atari, guest, memory, minigrid
from envs.config import Backend, EnvConfig
from envs.family import Family, Scores
from envs.spec import EnvSpec, EnvStep, StatefulVecEnv, VecEnv

FAMILIES: tuple[Family, ...] = tuple(module.FAMILY for module in (memory, minigrid, atari, guest))

__all__ = [
    "FAMILIES",
    "Backend",
    "EnvConfig",
    "EnvSpec",
    "EnvStep",
    "Family",
    "Scores",
    "StatefulVecEnv",
    "VecEnv",
    "canonical_game",
    "family_of",
    "make_env",
]


def make_env(
    game: str, config: EnvConfig, num_envs: int, seed: int, backend: Backend = "envpool"
) -> VecEnv:
    """Makes B environments of one game.

    Args:
        game: any name of a game of any family, such as "Pong" or "tmaze".
        config: how the game is played.
        num_envs: B.
        seed: same seed, config and actions: same rows.
        backend: which implementation of a family that has two, as Atari has.

    Raises:
        ValueError: unknown game (close matches are listed) or backend, or sizes that cannot be.
    """
    family, name = _find(game)
    if num_envs < 1:
        raise ValueError(f"num_envs must be >= 1, got {num_envs}")
    if backend not in get_args(Backend):
        raise ValueError(f"backend must be {' or '.join(get_args(Backend))}, got {backend!r}")
    make = family.make
    if backend == "gymnasium" and family.make_in_gymnasium is not None:
        make = family.make_in_gymnasium
    return make(name, config, num_envs, seed)


def canonical_game(game: str) -> str:
    """Returns the one name of a game that may be called by several.

    Raises:
        ValueError: no such game; the message lists close matches.
    """
    return _find(game)[1]


def family_of(game: str) -> Family:
    """Returns the family that a game belongs to.

    Raises:
        ValueError: no such game; the message lists close matches.
    """
    return _find(game)[0]


def _find(game: str) -> tuple[Family, str]:
    """Returns the family that answers to a name, and the canonical one."""
    for family in FAMILIES:
        name = family.canonical(game)
        if name is not None:
            return family, name
    known = {name.lower(): name for family in FAMILIES for name in family.games}
    close = get_close_matches(game.lower(), known, n=3, cutoff=0.4)
    hint = f"; close: {', '.join(known[name] for name in close)}" if close else ""
    usage = "; ".join(f"{family.name}: {family.usage}" for family in FAMILIES)
    raise ValueError(f"unknown game {game!r}{hint}; there are: {usage}")
