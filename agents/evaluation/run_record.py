"""What a run folder says of its run, read without changing it and without trusting it.

A folder with a config.yaml is a run folder: as training leaves it (`evaluation/*.json`), or as
published (`evaluation.json`). Settings are checked as on the command line; files are read up to
a limit; metrics are read a line at a time and thinned, so that memory does not grow with a run.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.evaluation.evaluate import EvaluationConfig, num_games
from agents.experiment.config_values import config_from_values, flat_values
from agents.experiment.files import MEBIBYTE, read_json
from agents.experiment.metrics import metric_rows
from agents.experiment.run_dir import read_config
from agents.impala.config import TrainConfig
from envs import canonical_game

MAX_FOLDERS = 100_000  # looked into in search of runs
MAX_METRICS_BYTES = 1024 * MEBIBYTE
MAX_CURVE_POINTS = 1000
MAX_VARIATION = 200  # characters
MAX_NUMBER = 1e15  # beyond it a float no longer counts frames exactly
RETURN_TAG = "return/last_100_games_points"
END_TAGS = (
    "frames",
    "updates",
    "wall_seconds",
    "memory/peak_bytes",
    "share/env",
    "share/inference",
    "share/learner",
    "share/core",
    "share/acting_core",  # of published runs: the part of inference in core and heads
)


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


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The learning curve of a run, thinned to at most 2 * MAX_CURVE_POINTS rows, and its end.

    Args:
        frames, seconds, returns: [rows] emulator frames, seconds of training, and mean return of
            the last 100 games, where games had ended.
        is_cut: the last line of the file is cut short.
        end: numbers of the file's last whole row; empty where there is none.
    """

    frames: NDArray[np.float64]
    seconds: NDArray[np.float64]
    returns: NDArray[np.float64]
    is_cut: bool
    end: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run, as its folder tells it.

    Args:
        path: the folder.
        game: canonical name.
        config: its settings.
        status: of `status.json`; "" where there is none (a published run).
        origin: content of `provenance.json`; empty where there is none.
        metrics: learning curve and speed.
        score: its newest evaluation by the settings that make a score, or None.
        others: the same checkpoint's newest evaluations by other settings; where there is no score,
            the newest of any checkpoint.
    """

    path: Path
    game: str
    config: TrainConfig
    status: str
    origin: dict[str, Any]
    metrics: Metrics
    score: Evaluation | None
    others: tuple[Evaluation, ...]


def find_run_folders(folders: Iterable[Path]) -> list[Path]:
    """Returns every run folder in or below the folders, each once; links are not followed.

    Raises:
        ValueError: one is no folder, none has a run, or there are too many folders to look into.
    """
    found: dict[Path, Path] = {}
    given = list(folders)
    for folder in given:
        if not folder.is_dir():
            raise ValueError(f"{folder} is no folder")
        for path in _walk(folder):
            found.setdefault(path.resolve(), path)
    if not found:
        names = ", ".join(map(str, given))
        raise ValueError(f"no run folder in {names}: a run folder has a config.yaml")
    return sorted(found.values())


def read_run(path: Path) -> RunRecord:
    """Reads a run folder.

    Raises:
        ValueError: something in it is unusable; the message names the file.
    """
    try:
        config = config_from_values(read_config(path))
        game = canonical_game(config.game)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    score, others = _newest(_evaluations(path, game, config))
    return RunRecord(
        path=path,
        game=game,
        config=config,
        status=str(_optional_json(path / "status.json").get("status", ""))[:20],
        origin=_optional_json(path / "provenance.json"),
        metrics=thinned_metrics(path / "metrics.jsonl"),
        score=score,
        others=others,
    )


def thinned_metrics(path: Path) -> Metrics:
    """Reads a metrics file, a line at a time; where there is none, the curve is empty.

    Raises:
        ValueError: a whole line is no row of metrics, a number is not finite, or it is too large.
    """
    rows: list[tuple[float, float, float]] = []
    last: dict[str, Any] = {}
    every, num_rows = 1, 0
    size = path.stat().st_size if path.exists() else 0
    if size > MAX_METRICS_BYTES:
        raise ValueError(f"{path} is larger than {MAX_METRICS_BYTES:,} bytes")
    for last, _ in metric_rows(path) if size else ():
        if RETURN_TAG not in last:
            continue
        if num_rows % every == 0:
            tags = ("frames", "wall_seconds", RETURN_TAG)
            frames, seconds, value = (_finite(last.get(tag), tag, str(path)) for tag in tags)
            rows.append((frames, seconds, value))
        num_rows += 1
        if len(rows) == 2 * MAX_CURVE_POINTS:
            rows, every = rows[::2], 2 * every
    curve = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Metrics(
        frames=curve[:, 0],
        seconds=curve[:, 1],
        returns=curve[:, 2],
        is_cut=size > 0 and not _ends_in_line_break(path),
        end={tag: _finite(last[tag], tag, str(path)) for tag in END_TAGS if tag in last},
    )


def frames_per_second(run: RunRecord) -> float | None:
    """Returns the speed of the whole run, None where it is not known."""
    frames, seconds = run.metrics.end.get("frames"), run.metrics.end.get("wall_seconds")
    return frames / seconds if frames and seconds else None


def default_episodes(game: str) -> int:
    """Returns how many games a score is the mean of."""
    return num_games(game, EvaluationConfig())


def _walk(folder: Path) -> Iterator[Path]:
    for number, (root, below, files) in enumerate(os.walk(folder)):
        if number >= MAX_FOLDERS:
            raise ValueError(f"{folder} holds more than {MAX_FOLDERS:,} folders; name the runs")
        if "config.yaml" in files:
            below.clear()
            yield Path(root)


def _newest(evaluations: Iterable[Evaluation]) -> tuple[Evaluation | None, tuple[Evaluation, ...]]:
    """Returns the evaluation that makes the score, and the newest of every other kind.

    Where there is a score, the others are of the same checkpoint: of another they say something
    about training, not about settings.
    """
    made = sorted(evaluations, key=lambda e: (e.updates, e.date))
    score = next((e for e in reversed(made) if not e.variation), None)
    others = {
        e.variation: e
        for e in made
        if e.variation and (score is None or e.updates == score.updates)
    }
    names = sorted(others, key=lambda name: (len(name), name))  # 40 before 100
    return score, tuple(others[name] for name in names)


def _evaluations(path: Path, game: str, config: TrainConfig) -> Iterator[Evaluation]:
    usual = flat_values(asdict(EvaluationConfig(episodes=default_episodes(game))))
    usual |= {"length": config.env.length}  # that of training, asked for or not
    for file in sorted([*path.glob("evaluation*.json"), *path.glob("evaluation/*.json")]):
        result = _json_object(file)
        if result.get("game") != game:
            raise ValueError(f"{file} is of {str(result.get('game'))[:80]!r}, the run of {game}")
        yield _evaluation(result, str(file), usual)


def _evaluation(result: dict[str, Any], where: str, usual: dict[str, Any]) -> Evaluation:
    games, settings = result.get("episodes"), result.get("settings")
    if not isinstance(games, list) or not games or not isinstance(settings, dict):
        raise ValueError(f"{where} is no evaluation: it needs settings and episodes")
    if not all(isinstance(game, dict) for game in games):
        raise ValueError(f"{where} is no evaluation: an episode must be an object")
    returns = [_finite(game.get("return"), "return", where) for game in games]
    size = result.get("size", {})
    if not isinstance(size, dict):
        raise ValueError(f"{where}: size must be an object")
    return Evaluation(
        variation=_variation(settings | {"episodes": len(games)}, usual),
        mean_return=float(np.mean(returns)),
        num_games=len(games),
        frames=int(_finite(result.get("frames"), "frames", where)),
        updates=int(_finite(result.get("updates"), "updates", where)),
        date=_date(result.get("provenance")),
        size={str(name): int(_finite(value, name, where)) for name, value in size.items()},
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


def _finite(value: Any, name: str, where: str) -> float:
    """Returns a number that is one.

    Raises:
        ValueError: it is missing, no number, infinite or not a number.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and abs(value) < MAX_NUMBER):  # false for NaN too
        raise ValueError(f"{where}: {name} must be a finite number, got {repr(value)[:80]}")
    return float(value)


def _json_object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


def _optional_json(path: Path) -> dict[str, Any]:
    return _json_object(path) if path.exists() else {}


def _ends_in_line_break(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
