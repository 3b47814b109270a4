"""The evaluations of a run folder: which makes the run's score, and which stand beside it."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.evaluate import EvaluationConfig, num_games
from agents.impala.config import TrainConfig
from comparison.foreign_values import finite, json_object
from experiment.settings import flat_values

MAX_VARIATION = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Whole games played by one saved policy.

    Args:
        variation: settings that differ from an evaluation that makes a score; "" for none.
        mean_return: over every game.
        num_games: how many.
        frames, updates: of training behind the policy.
        date: when it was made, as in 2026-11-24T18:32:24+00:00; "" where not recorded.
        size: parameters, core_parameters and state_bytes of the policy, where recorded.
    """

    variation: str
    mean_return: float
    num_games: int
    frames: int
    updates: int
    date: str
    size: dict[str, int]


def default_episodes(game: str) -> int:
    """Returns how many games a score is the mean of."""
    return num_games(game, EvaluationConfig())


def read_evaluations(
    path: Path, game: str, config: TrainConfig
) -> tuple[Evaluation | None, tuple[Evaluation, ...]]:
    """Returns the evaluation that makes a run's score, and what it is held against.

    Args:
        path: run folder.
        game: canonical name of the run's game.
        config: settings of the run.

    Returns:
        The newest evaluation by the settings that make a score, or None; and the newest of the
        same checkpoint by each other settings. Those of other checkpoints say something about
        training, not about settings, and are left out.

    Raises:
        ValueError: an evaluation is broken, or of another game.
    """
    made = sorted(_evaluations(path, game, config), key=lambda e: (e.updates, e.date))
    score = next((e for e in reversed(made) if not e.variation), None)
    others = {e.variation: e for e in made if score and e.variation and e.updates == score.updates}
    names = sorted(others, key=lambda name: (len(name), name))  # 40 before 100
    return score, tuple(others[name] for name in names)


def _evaluations(path: Path, game: str, config: TrainConfig) -> Iterator[Evaluation]:
    """Yields every evaluation of a run folder, as left by `evaluate` or as published."""
    usual = flat_values(asdict(EvaluationConfig(episodes=default_episodes(game))))
    usual |= {"length": config.env.length}  # that of training, asked for or not
    for file in sorted([*path.glob("evaluation*.json"), *path.glob("evaluation/*.json")]):
        result = json_object(file)
        if result.get("game") != game:
            raise ValueError(f"{file} is of {str(result.get('game'))[:80]!r}, the run of {game}")
        yield _evaluation(result, str(file), usual)


def _evaluation(result: dict[str, Any], where: str, usual: dict[str, Any]) -> Evaluation:
    games, settings = result.get("episodes"), result.get("settings")
    if not isinstance(games, list) or not games or not isinstance(settings, dict):
        raise ValueError(f"{where} is no evaluation: it needs settings and episodes")
    if not all(isinstance(game, dict) for game in games):
        raise ValueError(f"{where} is no evaluation: an episode must be an object")
    returns = [finite(game.get("return"), "return", where) for game in games]
    size = result.get("size", {})
    if not isinstance(size, dict):
        raise ValueError(f"{where}: size must be an object")
    return Evaluation(
        variation=_variation(settings | {"episodes": len(games)}, usual),
        mean_return=float(np.mean(returns)),
        num_games=len(games),
        frames=int(finite(result.get("frames"), "frames", where)),
        updates=int(finite(result.get("updates"), "updates", where)),
        date=_date(result.get("provenance")),
        size={str(name): int(finite(value, name, where)) for name, value in size.items()},
    )


def _date(provenance: object) -> str:
    return str(provenance.get("date", ""))[:40] if isinstance(provenance, dict) else ""


def _variation(settings: dict[str, Any], usual: dict[str, Any]) -> str:
    """Returns the settings that differ from those of a score, as "length=40, greedy=True"."""
    unusual = {
        k: v for k, v in flat_values(settings).items() if v is not None and usual.get(k) != v
    }
    text = ", ".join(f"{name.split('.')[-1]}={value}" for name, value in unusual.items())
    return text[:MAX_VARIATION]
