"""Metrics of a run, in `metrics.jsonl` and TensorBoard; tags are listed in docs/metrics.md."""

import json
import os
from pathlib import Path
from typing import Any

from torch.utils.tensorboard import SummaryWriter

from agents.experiment.files import write_atomically


class MetricsWriter:
    """Appends rows to both; a resumed run continues after the checkpoint's frames.

    Args:
        run_dir: folder of the run.
        frames: emulator frames behind the checkpoint; rows beyond it are cut.
    """

    def __init__(self, run_dir: Path, *, frames: int) -> None:
        path = run_dir / "metrics.jsonl"
        if path.exists():
            kept = [row for row in read_metrics(path) if row["frames"] <= frames]
            lines = "".join(json.dumps(row) + "\n" for row in kept)
            write_atomically(path, lines.encode())
        self._file = path.open("a")
        self._board = SummaryWriter(str(run_dir / "tensorboard"), purge_step=frames + 1)

    def write(self, row: dict[str, Any]) -> None:
        """Appends a row; numbers go to TensorBoard too, with `frames` as their step."""
        self._file.write(json.dumps(row) + "\n")
        self._file.flush()
        for tag, value in row.items():
            if isinstance(value, int | float) and tag != "frames":
                self._board.add_scalar(tag, value, row["frames"])

    def flush(self) -> None:
        """Makes every row survive a loss of power."""
        os.fsync(self._file.fileno())
        self._board.flush()

    def close(self) -> None:
        """Flushes and closes both."""
        self.flush()
        self._file.close()
        self._board.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Returns the whole rows of a metrics file; a last line cut short is left out."""
    rows = []
    for line in path.read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            rows.append(json.loads(line))
    return rows
