"""What a run folder says of its run, read without changing it and without trusting it.

A folder with a config.yaml is a run folder: as training leaves it (`evaluation/*.json`), or as
published (`evaluation.json`). Settings are checked as on the command line; files are read up to
a limit; metrics are read a line at a time and thinned, so that memory does not grow with a run.
"""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

from agents.impala.shown import GAMES_IN_MEAN
from comparison.evaluations import read_evaluations
from comparison.foreign_values import finite, optional_json
from comparison.kinds import kind_of
from comparison.run_kind import RunKind
from comparison.run_record import Metrics, RunRecord
from experiment.files import MEBIBYTE
from experiment.metrics import metric_rows
from experiment.run_dir import read_config

MAX_METRICS_BYTES = 1024 * MEBIBYTE
MAX_CURVE_POINTS = 1000


def read_run_folder(path: Path) -> RunRecord:
    """Reads a run folder.

    Raises:
        ValueError: something in it is unusable; the message names the file.
    """
    try:
        values = read_config(path)
        kind = kind_of(values)
        config = kind.read_config(values)
        task = kind.task(config)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from None
    score, others = read_evaluations(path, kind, config)
    return RunRecord(
        name=str(path),
        kind=kind,
        task=task,
        config=config,
        status=str(optional_json(path / "status.json").get("status", ""))[:20],
        origin=optional_json(path / "provenance.json"),
        metrics=thinned_metrics(path / "metrics.jsonl", kind),
        score=score,
        others=others,
    )


def thinned_metrics(path: Path, kind: RunKind) -> Metrics:
    """Reads a metrics file, a line at a time; where there is none, the curve is empty.

    Returns:
        At most 2 * MAX_CURVE_POINTS rows of the curve, evenly spread.

    Raises:
        ValueError: a whole line is no row of metrics, a number is not finite, or it is too large.
    """
    rows: list[tuple[float, float, float]] = []
    last: dict[str, Any] = {}
    every, num_rows, num_games, best = 1, 0, 0, -math.inf
    size = path.stat().st_size if path.exists() else 0
    if size > MAX_METRICS_BYTES:
        raise ValueError(f"{path} is larger than {MAX_METRICS_BYTES:,} bytes")
    for last, _ in metric_rows(path, kind.unit) if size else ():
        shown = next((tag for tag in kind.curve_tags if tag in last), None)
        if shown is None:
            continue
        score = finite(last[shown], shown, str(path))
        games = last.get("games")  # not kept in what is published
        num_games += len(games) if isinstance(games, list) else GAMES_IN_MEAN
        if num_games >= GAMES_IN_MEAN:
            best = max(best, score)
        if num_rows % every == 0:
            tags = (kind.unit, "wall_seconds", shown)
            done, seconds, value = (finite(last.get(tag), tag, str(path)) for tag in tags)
            rows.append((done, seconds, value))
        num_rows += 1
        if len(rows) == 2 * MAX_CURVE_POINTS:
            rows, every = rows[::2], 2 * every
    end = {tag: finite(last[tag], tag, str(path)) for tag in kind.end_tags if tag in last}
    curve = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Metrics(
        done=curve[:, 0],
        seconds=curve[:, 1],
        scores=curve[:, 2],
        is_cut=size > 0 and not _ends_in_line_break(path),
        end=end | ({kind.best_tag: best} if best > -math.inf and kind.best_tag else {}),
    )


def _ends_in_line_break(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read() == b"\n"
