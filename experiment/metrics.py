"""Metrics of a run, in `metrics.jsonl` and TensorBoard; tags are listed in docs/metrics.md."""

import json
import math
import mmap
import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.summary.writer.event_file_writer import EventFileWriter
from torch.utils.tensorboard import SummaryWriter

from experiment.config import RunConfig
from experiment.files import whole_lines
from experiment.hparams import hparam_summaries

FRAMES = "frames"  # of agents; what most that read metrics want


class MetricsWriter:
    """Appends rows to both; a resumed run continues after the checkpoint's frames.

    Args:
        run_dir: folder of the run.
        unit: what the run counts, the tag of the x axis.
        done: units behind the checkpoint; rows beyond it are cut.
    """

    def __init__(self, run_dir: Path, unit: str, done: int) -> None:
        path = run_dir / "metrics.jsonl"
        if path.exists():
            cut_metrics(path, unit, done)
        self._unit = unit
        self._file = path.open("a")
        threading.excepthook = _print_unless_boards
        self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=done + 1)

    def describe(self, config: RunConfig, score: str) -> None:
        """Tells TensorBoard the run's settings and the tag of its score: it groups runs."""
        for summary in hparam_summaries(config, (score, f"speed/{self._unit}_per_second")):
            self._board.file_writer.add_summary(summary)  # type: ignore[attr-defined]  # torch's

    def write(self, row: dict[str, Any]) -> None:
        """Appends a row; numbers go to TensorBoard too, with the unit as their step.

        JSON has no NaN and no infinity: they become null.
        """
        standard = {tag: _finite_or_none(value) for tag, value in row.items()}
        self._file.write(json.dumps(standard, allow_nan=False) + "\n")
        self._file.flush()
        for tag, value in scalars(standard).items():
            if tag != self._unit:
                self._board.add_scalar(tag, value, row[self._unit])

    def flush(self) -> None:
        """Makes every row survive a loss of power."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._board.flush()

    def close(self) -> None:
        """Flushes and closes both."""
        try:
            self.flush()
            self._file.close()
            self._board.close()
        finally:
            threading.excepthook = threading.__excepthook__


def scalars(row: Mapping[str, Any]) -> dict[str, int | float]:
    """Returns the finite numbers of a row of metrics, by tag: what can be drawn."""
    return {
        tag: value
        for tag, value in row.items()
        if isinstance(value, int | float) and math.isfinite(value)
    }


def _print_unless_boards(ended: threading.ExceptHookArgs) -> None:
    """Prints what ended a thread; what ends TensorBoard's is raised again by its next use."""
    if type(ended.thread).__module__ != EventFileWriter.__module__:
        threading.__excepthook__(ended)


def cut_metrics(path: Path, unit: str, done: int) -> None:
    """Ends a metrics file after the row of `done` units; rows stand in the order of these."""
    end = 0
    for row, stop in metric_rows(path, unit):
        if row[unit] > done:
            break
        end = stop
    os.truncate(path, end)


def read_metrics(path: Path, unit: str = FRAMES) -> list[dict[str, Any]]:
    """Returns the whole rows of a metrics file; a last line cut short is left out.

    Raises:
        ValueError: a line is no row of metrics.
    """
    return [row for row, _ in metric_rows(path, unit)]


def newest_row(path: Path, unit: str = FRAMES) -> dict[str, Any] | None:
    """Returns the last whole row of a metrics file, of any size, or None where there is none.

    Raises:
        ValueError: the last whole line is no row of metrics.
    """
    if not path.exists() or not path.stat().st_size:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        end = content.rfind(b"\n")
        if end < 0:
            return None
        return _row(
            content[content.rfind(b"\n", 0, end) + 1 : end], f"{path}, its last line,", unit
        )


def metric_rows(path: Path, unit: str = FRAMES) -> Iterator[tuple[dict[str, Any], int]]:
    """Yields each whole row of a metrics file and the byte after it.

    Raises:
        ValueError: a line is no row of metrics.
    """
    end = 0
    for number, line in enumerate(whole_lines(path), 1):
        end += len(line)
        yield _row(line, f"{path}, line {number}", unit), end


def _row(line: bytes, where: str, unit: str) -> dict[str, Any]:
    """Returns a row of metrics from its line.

    Raises:
        ValueError: it is none.
    """
    try:
        row = json.loads(line, parse_constant=lambda _: None)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{where} is not JSON: {error}") from None
    if not isinstance(row, dict) or not isinstance(row.get(unit), int):
        raise ValueError(f"{where} is no row of metrics: it has no {unit}")
    return row


def _finite_or_none(value: Any) -> Any:
    """Returns a value of JSON with null for each number that is not finite."""
    if isinstance(value, list | tuple):
        return [_finite_or_none(part) for part in value]
    is_lost = isinstance(value, float) and not math.isfinite(value)
    return None if is_lost else value
