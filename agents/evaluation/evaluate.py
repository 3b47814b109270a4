"""Plays whole games with a saved policy and reports their returns.

Game i is the first game of environment i, whose seed is seed + i: one game each, so that no short
game is favoured. The actions of all games are drawn from one stream: seed and number of games
together say what is played. Memory is wiped where training wiped it; returns are of whole,
unclipped games.
"""

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from agents.evaluation.player import Player, make_env_of
from agents.evaluation.saved_policy import SavedPolicy, load_policy, owner_folder
from agents.impala.resolve import arithmetic, choose_device
from envs import Backend, EnvConfig, family_of
from envs.episodes import lost_lives
from envs.spec import EnvStep
from experiment.checkpoint import newest_number, numbered
from experiment.files import refuse_way_out, unused_path, write_json
from experiment.provenance import provenance
from models.policy import Policy

RESULTS = "evaluation"  # folder of the results of a run


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a policy is evaluated.

    Args:
        episodes: whole games; null is 30 on Atari, 100 of your own game and 500 elsewhere.
        backend: what emulates Atari; gymnasium shares only the emulator with envpool.
        greedy: take the likeliest action instead of sampling.
        seed: on Atari game i is played with seed + i; on a memory task all draw from seed.
        length: memory tasks: play at this env.length instead of the one trained at.
    """

    episodes: int | None = None
    backend: Backend = "gymnasium"
    greedy: bool = False
    seed: int = 0
    length: int | None = None

    def __post_init__(self) -> None:
        if self.episodes is not None and self.episodes < 1:
            raise ValueError(f"episodes must be at least 1, got {self.episodes}")
        if self.length is not None and self.length < 1:
            raise ValueError(f"length must be at least 1, got {self.length}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")


class FirstGames:
    """Counts the first game of each environment, and its lives."""

    def __init__(self, num_envs: int) -> None:
        self.returns = np.zeros(num_envs)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.playing = np.ones(num_envs, dtype=bool)
        self.life_returns: list[float] = []
        self.has_lives = False
        self._life = np.zeros(num_envs)
        self._lives: NDArray[np.int32] | None = None

    def count(self, step: EnvStep) -> None:
        """Takes in one row of every environment."""
        self.returns += np.where(self.playing, step.reward, 0.0)
        self._life += step.reward
        if self._lives is not None:  # the first row has no step behind it
            self.steps += self.playing
        ended = self.playing & ~step.valid
        before = step.lives if self._lives is None else self._lives
        lost = ended | (self.playing & lost_lives(before, step.lives))
        self.has_lives |= bool(step.lives.any())
        self.life_returns += self._life[lost].tolist()
        self._life[lost] = 0.0
        self.playing &= ~ended
        self._lives = step.lives.copy()


@torch.inference_mode()
def play(saved: SavedPolicy, config: EvaluationConfig, num_games: int) -> FirstGames:
    """Plays one game in each of num_games environments, all in lockstep."""
    env_config = played_env(saved.spec.game, saved.config.env, config)
    played = replace(saved, config=replace(saved.config, env=env_config))
    env = make_env_of(played, num_games, config.seed, config.backend)
    player = Player(saved, num_games, config.seed, greedy=config.greedy)
    games = FirstGames(num_games)
    while True:
        step = env.recv()
        games.count(step)
        if not games.playing.any():
            env.close()
            return games
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


def evaluate(source: Path, config: EvaluationConfig) -> dict[str, Any]:
    """Returns the result of an evaluation, as plain values; computes on a GPU where there is one.

    Args:
        source: run folder, checkpoint or policy.safetensors.
        config: how.
    """
    saved = load_policy(source)
    device = choose_device("auto")
    saved.policy.to(device)
    game = saved.spec.game
    family = family_of(game)
    games = play(saved, config, num_games(game, config))
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
        "game": game,
        "core": saved.config.core.kind,
        "frames": saved.frames,
        "updates": saved.updates,
        "size": policy_size(saved.policy),
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


def policy_size(policy: Policy) -> dict[str, int]:
    """Returns how many parameters a policy and its core have, and the bytes of one memory."""
    return {
        "parameters": sum(p.numel() for p in policy.parameters()),
        "core_parameters": sum(p.numel() for p in policy.core.parameters()),
        "state_bytes": sum(tensor.nbytes for tensor in policy.initial_state(1)),
    }


def evaluate_and_save(source: Path, config: EvaluationConfig) -> tuple[Path, dict[str, Any]]:
    """Evaluates and writes the result beside what was evaluated; never over an earlier one."""
    folder = result_folder(source)
    result = evaluate(source, config)
    return save_result(folder, result, config), result


def result_folder(source: Path, out: Path | None = None) -> Path:
    """Returns the folder of the results of a policy, in which a file can be made; makes nothing.

    Args:
        source: run folder, checkpoint or policy.safetensors.
        out: another folder.

    Raises:
        ValueError: no file can be made there.
    """
    owner = owner_folder(source)
    folder = out or owner / RESULTS
    if out is None:
        refuse_way_out(folder, owner)
    there = next(path for path in (folder, *folder.parents) if path.exists())
    try:
        with TemporaryFile(dir=there):
            return folder
    except OSError as error:
        raise ValueError(f"no result can be written: {error}; choose a folder by --out") from None


def save_result(folder: Path, result: dict[str, Any], config: EvaluationConfig) -> Path:
    """Writes a result, never over an earlier one; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = unused_path(folder / result_name(result["game"], result["updates"], config))
    write_json(path, result)
    return path


def kept_checkpoints(run: Path) -> list[Path]:
    """Returns the checkpoints of a run folder, oldest first.

    Raises:
        ValueError: there is none.
    """
    newest_number(run / "checkpoints")  # refuses a folder without any
    return numbered(run / "checkpoints")


def result_path(run: Path, game: str, updates: int, config: EvaluationConfig) -> Path:
    """Returns where the first result of a checkpoint's evaluation is written."""
    return run / RESULTS / result_name(game, updates, config)


def result_name(game: str, updates: int, config: EvaluationConfig) -> str:
    """Returns the name of the first result of a checkpoint's evaluation."""
    how = "greedy" if config.greedy else "sampled"
    name = f"{updates:012d}-{config.backend}-{how}-{num_games(game, config)}-{config.seed}"
    length = "" if config.length is None else f"-length{config.length}"
    return f"{name}{length}.json"


def summary(result: dict[str, Any]) -> str:
    """Returns what a person wants to read of a result."""
    error = result["standard_error"]
    lines = [
        f"{result['game']}, {result['core']} after {result['frames']:,} frames, "
        f"{len(result['episodes']['return'])} games",
        f"mean return       {result['mean_return']:.2f}"
        + (f" +- {error:.2f} (standard error)" if error is not None else ""),
        f"min, max          {result['min_return']:.2f}, {result['max_return']:.2f}",
    ]
    if result["per_life_mean_return"] is not None:
        lines.append(f"mean per life     {result['per_life_mean_return']:.2f}")
    if result["scale"] is not None:
        ends = ", ".join(f"{name} {score:.4g}" for name, score in result["scale"].items())
        lines.append(f"normalised        {result['normalised']:.3f}  ({ends})")
    return "\n".join(lines)
