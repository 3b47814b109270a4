"""Metrics of a run: `metrics.jsonl` is the record, TensorBoard's files are made from it.

A row has `frames` (the x axis of every curve), `updates` and `wall_seconds`; every other tag ends
in its unit. Values that are missing or not finite are null.
"""

import json
import math
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

from agents.experiment.files import write_atomically
from agents.experiment.run_dir import RunDir

REQUIRED = ("frames", "updates", "wall_seconds")
Row = Mapping[str, float | int | None]


class MetricsWriter:
    """Appends rows to both records.

    On resume the rows that followed the checkpoint are cut, and TensorBoard's files are written
    anew from the rows that stay: neither record has a gap or a row twice.

    Args:
        run_dir: the run's folder.
        resume_at_update: updates of the checkpoint that the run goes on from; None for a new run.
    """

    def __init__(self, run_dir: RunDir, resume_at_update: int | None = None) -> None:
        kept = []
        if resume_at_update is not None:
            kept = [
                r for r in read_metrics(run_dir.metrics_path) if r["updates"] <= resume_at_update
            ]
            text = "".join(f"{json.dumps(row)}\n" for row in kept)
            write_atomically(run_dir.metrics_path, text.encode())
            for path in run_dir.tensorboard_path.glob("events.out.tfevents.*"):
                path.unlink()
        self._file = run_dir.metrics_path.open("a")
        self._events = EventFileWriter(str(run_dir.tensorboard_path))
        for row in kept:
            self._add_event(row)

    def write(self, row: Row) -> None:
        """Appends a row; a kill after this loses nothing of it, a power cut may before `flush`.

        Args:
            row: metrics by tag, among them `frames`, `updates` and `wall_seconds`.
        """
        clean = {name: _finite(value) for name, value in row.items()}
        assert all(clean.get(name) is not None for name in REQUIRED), f"{REQUIRED} in {row}"
        self._file.write(json.dumps(clean) + "\n")
        self._file.flush()
        self._add_event(clean)

    def flush(self) -> None:
        """Brings everything to disk; call it before a checkpoint, which the rows must not trail."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._events.flush()

    def close(self) -> None:
        """Flushes and closes both records."""
        self.flush()
        self._file.close()
        self._events.close()

    def _add_event(self, row: Row) -> None:
        values = [
            Summary.Value(tag=tag, simple_value=value)
            for tag, value in row.items()
            if value is not None and tag != "frames"
        ]
        step = int(row["frames"] or 0)
        self._events.add_event(
            Event(wall_time=time.time(), step=step, summary=Summary(value=values))
        )


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a `metrics.jsonl`; a last line that a kill cut short is left out.

    Raises:
        ValueError: another line is damaged.
    """
    return list(_rows(path)) if path.exists() else []


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    lines = path.read_text(errors="replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        try:
            row = json.loads(line)
            is_row = isinstance(row, dict) and all(name in row for name in REQUIRED)
        except ValueError:
            is_row = False
        if is_row:
            yield row
        elif number < len(lines) or line.endswith("\n"):
            raise ValueError(f"{path} line {number} is not a row of metrics")


def _finite(value: float | int | None) -> float | int | None:
    return value if value is not None and math.isfinite(value) else None
