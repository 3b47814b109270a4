"""What a run folder says of its run, read without changing it and without trusting it.

A folder with a config.yaml is a run folder: as training leaves it (`evaluation/*.json`), or as
published (`evaluation.json`). Settings are checked as on the command line; files are read up to
a limit; metrics are read a line at a time and thinned, so that memory does not grow with a run.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.impala.config import TrainConfig, config_from_values
from comparison.evaluation_record import Evaluation, read_evaluations
from comparison.foreign_values import finite, optional_json
from envs import canonical_game
from experiment.files import MEBIBYTE
from experiment.metrics import metric_rows
from experiment.run_dir import read_config

MAX_FOLDERS = 100_000  # looked into in search of runs
MAX_METRICS_BYTES = 1024 * MEBIBYTE
MAX_CURVE_POINTS = 1000
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
        others: the same checkpoint's newest evaluations by other settings.
    """

    path: Path
    game: str
    config: TrainConfig
    status: str
    origin: dict[str, Any]
    metrics: Metrics
    score: Evaluation | None
    others: tuple[Evaluation, ...]

    @property
    def frames_per_second(self) -> float | None:
        """Speed of the whole run, None where it is not known."""
        frames, seconds = self.metrics.end.get("frames"), self.metrics.end.get("wall_seconds")
        return frames / seconds if frames and seconds else None


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
    score, others = read_evaluations(path, game, config)
    return RunRecord(
        path=path,
        game=game,
        config=config,
        status=str(optional_json(path / "status.json").get("status", ""))[:20],
        origin=optional_json(path / "provenance.json"),
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
            frames, seconds, value = (finite(last.get(tag), tag, str(path)) for tag in tags)
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
        end={tag: finite(last[tag], tag, str(path)) for tag in END_TAGS if tag in last},
    )


def _walk(folder: Path) -> Iterator[Path]:
    for number, (root, below, files) in enumerate(os.walk(folder)):
        if number >= MAX_FOLDERS:
            raise ValueError(f"{folder} holds more than {MAX_FOLDERS:,} folders; name the runs")
        if "config.yaml" in files:
            below.clear()
            yield Path(root)


def _ends_in_line_break(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
