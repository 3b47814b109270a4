"""Atari: envpool plays it for training, gymnasium with ale-py for evaluation.

They share the emulator, the presets and the bookkeeping of episodes, but no wrapper: a fault in a
wrapper shows against the other's.
"""

from typing import Any

from envs.atari.presets import FRAME_SKIP, PRESETS
from envs.atari.scores import PUBLISHED, atari_games, atari_scores, published_scores
from envs.config import EnvConfig
from envs.family import Family, Scores
from envs.scene import Scene
from envs.spec import VecEnv

FRAMES_PER_SECOND = 60
VERSION = "-v5"  # of all games


def _canonical(game: str) -> str | None:
    """Returns "Pong-v5" for "Pong" and "Pong-v5"."""
    name = f"{_short_name(game)}{VERSION}"
    return name if name in atari_games() else None


def _short_name(game: str) -> str:
    return game.removesuffix(VERSION)


def _make(game: str, config: EnvConfig, num_envs: int, seed: int) -> VecEnv:
    from envs.atari.envpool_atari import EnvpoolAtari

    return EnvpoolAtari(game, config, num_envs, seed)


def _make_in_gymnasium(game: str, config: EnvConfig, num_envs: int, seed: int) -> VecEnv:
    from envs.atari.gymnasium_atari import GymnasiumAtari

    return GymnasiumAtari(game, config, num_envs, seed)


def _scores(game: str, config: EnvConfig) -> Scores | None:
    return atari_scores().get(game)


def _published(game: str) -> dict[str, float]:
    scores = published_scores().get(game)
    return {} if scores is None else {label: getattr(scores, x) for x, label in PUBLISHED.items()}


def _scene(env: Any, config: EnvConfig) -> Scene:
    """Shows the emulator's own screen [height, width, 3], at the speed of the game."""
    return Scene(
        env=env,
        picture=lambda step, action, ask: env.screen(0),
        action_names=env.action_names,
        fps=FRAMES_PER_SECOND / FRAME_SKIP,
        num_steps=240,
        episodes=1,
    )


FAMILY = Family(
    name="Atari",
    usage=f"Pong, Breakout and {len(atari_games()) - 2} others",
    games=atari_games(),
    canonical=_canonical,
    short_name=_short_name,
    make=_make,
    make_in_gymnasium=_make_in_gymnasium,
    frame_skip=FRAME_SKIP,
    scores=_scores,
    ends=("random", "human"),
    published=_published,
    num_games=30,
    step_limit=lambda game, config: PRESETS[config.preset].max_episode_steps,
    scene=_scene,
)
