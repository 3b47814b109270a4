"""Environments by name: Atari games, memory tasks, and the probe that tests read rows from."""

from difflib import get_close_matches

from envs.config import Backend, EnvConfig
from envs.memory import TASKS, MemoryEnv
from envs.probe import ProbeEnv
from envs.spec import EnvSpec, EnvStep, StatefulVecEnv, VecEnv

MINIGRID_GAMES = ("MiniGrid-MemoryS7-v0",)

__all__ = [
    "MINIGRID_GAMES",
    "Backend",
    "EnvConfig",
    "EnvSpec",
    "EnvStep",
    "StatefulVecEnv",
    "VecEnv",
    "canonical_game",
    "is_atari",
    "make_env",
]


def make_env(
    game: str, config: EnvConfig, num_envs: int, seed: int, backend: Backend = "envpool"
) -> VecEnv:
    """Makes B environments of one game.

    Args:
        game: an Atari game ("Pong" or "Pong-v5"), a memory task, "MiniGrid-MemoryS7-v0", or
            "probe".
        config: how the game is played.
        num_envs: B.
        seed: same seed, config and actions: same rows. In Atari, environment i plays with
            seed + i, whatever B is.
        backend: what emulates Atari; other games have one implementation and ignore it.

    Raises:
        ValueError: unknown game (close matches are listed) or backend, or sizes that cannot be.
    """
    name = canonical_game(game)
    if num_envs < 1:
        raise ValueError(f"num_envs must be >= 1, got {num_envs}")
    if name in TASKS:
        return MemoryEnv(name, config, num_envs, seed)
    if name in MINIGRID_GAMES:
        from envs.minigrid import EnvpoolMiniGrid  # memory tasks must not load envpool

        return EnvpoolMiniGrid(name, config, num_envs, seed)
    if name == "probe":
        return ProbeEnv(config, num_envs, seed)
    if backend == "envpool":
        from envs.atari import EnvpoolAtari  # memory tasks must not load an emulator

        return EnvpoolAtari(name, config, num_envs, seed)
    if backend == "gymnasium":
        from envs.gym_atari import GymnasiumAtari

        return GymnasiumAtari(name, config, num_envs, seed)
    raise ValueError(f"backend must be envpool or gymnasium, got {backend!r}")


def canonical_game(game: str) -> str:
    """Returns the one name of a game that may be called by several.

    Raises:
        ValueError: no such game; the message lists close matches.
    """
    if game in (*TASKS, *MINIGRID_GAMES, "probe"):
        return game
    from envs.gym_atari import atari_games

    atari = atari_games()
    name = game if game.endswith("-v5") else f"{game}-v5"
    if name in atari:
        return name
    known = {n.lower(): n for n in [*TASKS, *MINIGRID_GAMES, *atari]}
    close = get_close_matches(game.lower(), known, n=3, cutoff=0.4)
    hint = f"; close: {', '.join(known[n] for n in close)}" if close else ""
    others = ", ".join([*TASKS, *MINIGRID_GAMES])
    raise ValueError(f"unknown game {game!r}{hint}; others: {others}, or an Atari game")


def is_atari(game: str) -> bool:
    """Returns whether a canonical name is that of an Atari game."""
    return game not in (*TASKS, *MINIGRID_GAMES, "probe")
