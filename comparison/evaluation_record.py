"""The evaluations of a run: which makes the run's score, and which stand beside it."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from agents.evaluation.evaluate import EvaluationConfig, num_games, standard_error
from agents.impala.config import TrainConfig
from comparison.foreign_values import finite, finite_numbers, json_object, part
from experiment.settings import flat_values

MAX_VARIATION = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Whole games played by one saved policy.

    Args:
        settings: those that differ from an evaluation that makes a score, by full name.
        mean_return: over every game.
        standard_error: of the mean; None for a single game.
        num_games: how many.
        frames, updates: of training behind the policy.
        date: when it was made, as in 2026-11-24T18:32:24+00:00; "" where not recorded.
        size: parameters, core_parameters and state_bytes of the policy, where recorded.
    """

    settings: dict[str, Any]
    mean_return: float
    standard_error: float | None
    num_games: int
    frames: int
    updates: int
    date: str
    size: dict[str, int]

    @property
    def variation(self) -> str:
        """The settings as a reader wants them, "length=40, greedy=True"; "" for none."""
        named = (f"{name.split('.')[-1]}={value}" for name, value in self.settings.items())
        return ", ".join(named)[:MAX_VARIATION]


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
    score = next((e for e in reversed(made) if not e.settings), None)
    others = {e.variation: e for e in made if score and e.settings and e.updates == score.updates}
    names = sorted(others, key=lambda name: (len(name), name))  # 40 before 100
    return score, tuple(others[name] for name in names)


def evaluation_from_values(values: Mapping[str, Any], where: str) -> Evaluation:
    """Returns the evaluation whose fields a file holds by name.

    Raises:
        ValueError: a field is missing or unusable; the message begins with `where`.
    """
    error = values.get("standard_error")
    return Evaluation(
        settings=part(values, "settings", dict, where),
        mean_return=finite(values.get("mean_return"), "mean_return", where),
        standard_error=None if error is None else finite(error, "standard_error", where),
        num_games=int(finite(values.get("num_games"), "num_games", where)),
        frames=int(finite(values.get("frames"), "frames", where)),
        updates=int(finite(values.get("updates"), "updates", where)),
        date=str(values.get("date", ""))[:40],
        size=_size(values, where),
    )


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
    """Returns what the result of `evaluate` says; the mean is taken over its games."""
    games, settings = part(result, "episodes", dict, where), part(result, "settings", dict, where)
    returns = finite_numbers(games.get("return"), "return", where)
    if not len(returns):
        raise ValueError(f"{where} is no evaluation: it has no games")
    return Evaluation(
        settings=_unusual(settings | {"episodes": len(returns)}, usual),
        mean_return=float(np.mean(returns)),
        standard_error=standard_error(returns),
        num_games=len(returns),
        frames=int(finite(result.get("frames"), "frames", where)),
        updates=int(finite(result.get("updates"), "updates", where)),
        date=_date(result.get("provenance")),
        size=_size(result, where),
    )


def _size(values: Mapping[str, Any], where: str) -> dict[str, int]:
    size = part({"size": {}} | dict(values), "size", dict, where)
    return {str(name): int(finite(value, name, where)) for name, value in size.items()}


def _date(provenance: object) -> str:
    return str(provenance.get("date", ""))[:40] if isinstance(provenance, dict) else ""


def _unusual(settings: dict[str, Any], usual: dict[str, Any]) -> dict[str, Any]:
    """Returns the settings that differ from those of a score, by full name."""
    flat = flat_values(settings)
    return {name: v for name, v in flat.items() if v is not None and usual.get(name) != v}
