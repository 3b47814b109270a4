"""Plays whole games with a saved policy and reports their returns.

Game i is the first game of environment i: one game each, so that no short game is favoured. The
seed of environment i is seed + i, but for the memory tasks, which draw all from one stream. So are
the actions of all games: seed and number of games together say what is played. Memory is wiped
where training wiped it; returns are of whole, unclipped games.
"""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.evaluation.games import FirstGames
from agents.evaluation.player import Player, make_env_of
from agents.evaluation.saved_policy import SavedPolicy, load_policy
from agents.impala.resolve import arithmetic
from envs import Backend, EnvConfig, family_of
from envs.spec import VecEnvInPart
from experiment.bounds import refuse_below
from experiment.device import choose_device
from experiment.provenance import provenance
from models.size import model_size

Tell = Callable[[FirstGames], None]
"""Is told of the games after every step."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a policy is evaluated.

    Args:
        episodes: whole games; null is 30 on Atari, 100 of your own game and 500 elsewhere.
        backend: what emulates Atari; gymnasium and envpool share the emulator, the presets and the
            bookkeeping of episodes, but no wrapper.
        greedy: take the likeliest action instead of sampling.
        seed: game i is played with seed + i; on a memory task all draw from seed.
        length: memory tasks: play at this env.length instead of the one trained at.
        max_steps: cut games after this many agent steps, their returns counted as they stand;
            null lets them end by themselves.
    """

    episodes: int | None = None
    backend: Backend = "gymnasium"
    greedy: bool = False
    seed: int = 0
    length: int | None = None
    max_steps: int | None = None

    def __post_init__(self) -> None:
        refuse_below(self, 1, "episodes", "length", "max_steps")
        refuse_below(self, 0, "seed")

    @property
    def limits(self) -> list[str]:
        """The limits that were asked for, as names carry them: "length40"."""
        named = {"length": self.length, "max_steps": self.max_steps}
        return [f"{name}{value}" for name, value in named.items() if value is not None]


@torch.inference_mode()
def play(
    saved: SavedPolicy, config: EvaluationConfig, num_games: int, tell: Tell | None = None
) -> FirstGames:
    """Plays one game in each of num_games environments, all in lockstep.

    Environments whose game has ended are asked nothing more of, and stepped no more where they
    can be left out.
    """
    env_config = played_env(saved.spec.game, saved.config.env, config)
    played = replace(saved, config=replace(saved.config, env=env_config))
    games = FirstGames(num_games, config.max_steps)
    player = Player(saved, num_games, config.seed, greedy=config.greedy)
    with closing(make_env_of(played, num_games, config.seed, config.backend)) as env:
        while True:
            step = env.recv()
            games.count(step)
            if tell is not None:
                tell(games)
            if not games.playing.any():
                return games
            player.leave_out(~games.playing)
            if isinstance(env, VecEnvInPart):
                env.leave_out(~games.playing)
            _, action = player.act(step)
            env.send(action.numpy())


def played_env(game: str, trained: EnvConfig, config: EvaluationConfig) -> EnvConfig:
    """Returns the settings of training, at the length that is asked for.

    Raises:
        ValueError: the game has no length.
    """
    if config.length is None:
        return trained
    played = family_of(game).at_length(game, trained, config.length)
    if played is None:
        raise ValueError(f"length {config.length} was asked for, but {game} has no length")
    return played


def num_games(game: str, config: EvaluationConfig) -> int:
    """Returns how many games of `game` are played."""
    return config.episodes or family_of(game).num_games


def step_limit(saved: SavedPolicy, config: EvaluationConfig) -> int | None:
    """Returns the steps after which every game has ended, or None where nobody knows."""
    game = saved.spec.game
    own = family_of(game).step_limit(game, played_env(game, saved.config.env, config))
    return min((limit for limit in (own, config.max_steps) if limit is not None), default=None)


def evaluate(
    policy: SavedPolicy | Path, config: EvaluationConfig, tell: Tell | None = None
) -> dict[str, Any]:
    """Returns the result of an evaluation, as plain values; computes on a GPU where there is one.

    Args:
        policy: a saved one, or a run folder, checkpoint or policy.safetensors.
        config: how.
        tell: is told of the games after every step.
    """
    saved = load_policy(policy) if isinstance(policy, Path) else policy
    device = choose_device("auto")
    saved.policy.to(device)
    game = saved.spec.game
    family = family_of(game)
    began = time.monotonic()
    games = play(saved, config, num_games(game, config), tell)
    seconds = time.monotonic() - began
    scale = family.scores(game, played_env(game, saved.config.env, config))
    returns = games.returns
    mean = float(returns.mean())
    return {
        "mean_return": mean,
        "standard_error": standard_error(returns),
        "min_return": float(returns.min()),
        "max_return": float(returns.max()),
        "normalised": None if scale is None else scale.normalise(mean),
        "scale": None if scale is None else dict(zip(family.ends, scale, strict=True)),
        "per_life_mean_return": float(np.mean(games.life_returns)) if games.has_lives else None,
        "cut_games": int(games.cut.sum()),
        "seconds": seconds,
        "game": game,
        "core": saved.config.core.kind,
        "frames": saved.frames,
        "updates": saved.updates,
        "size": model_size(saved.policy),
        "arithmetic": arithmetic(saved.policy, replace(saved.config.core, kernel="auto"), device),
        "settings": asdict(config),
        "provenance": provenance(),
        "episodes": {"return": returns.tolist(), "steps": games.steps.tolist()},
    }


def standard_error(returns: NDArray[np.float64]) -> float | None:
    """Returns the standard error of the mean of games' returns; None for a single game."""
    if len(returns) < 2:
        return None
    return float(np.std(returns, ddof=1) / len(returns) ** 0.5)
