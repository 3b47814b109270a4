"""From learned steps to rows of metrics: means since the last row, and speed."""

import time
from typing import Any

import torch

from experiment.memory import peak_memory_bytes
from experiment.ranks import ALONE, Ranks
from experiment.trainable import Trainable


class RunningReport:
    """Gathers what happened since the last row.

    Args:
        trainable: what learns.
        seconds: of training so far, in earlier sessions.
        ranks: that train it together; all take a row at the same time.
    """

    def __init__(self, trainable: Trainable, seconds: float = 0.0, ranks: Ranks = ALONE) -> None:
        self.seconds = seconds  # of training, over all sessions, up to the last row
        self._trainable = trainable
        self._ranks = ranks
        self._rows: list[dict[str, float]] = []
        self._since = time.monotonic()
        self._done = trainable.done

    @property
    def is_pending(self) -> bool:
        """Whether something was learned since the last row."""
        return bool(self._rows)

    def add(self, row: dict[str, float]) -> None:
        """Takes in the metrics of one learned step."""
        self._rows.append(row)

    def take_row(self) -> dict[str, Any]:
        """Returns the row of metrics since the last one and begins the next."""
        of = self._trainable
        now = time.monotonic()
        elapsed = now - self._since
        self.seconds += elapsed
        row: dict[str, Any] = {
            of.unit: of.done,
            "updates": of.updates,
            "wall_seconds": self.seconds,
            f"speed/{of.unit}_per_second": (of.done - self._done) / elapsed,
        }
        for tag, value in self._rows[-1].items():
            mean = sum(r[tag] for r in self._rows) / len(self._rows)
            row[tag] = value if tag in of.newest else mean
        row |= of.take_row(elapsed)
        device = of.arithmetic["device"]
        peak = peak_memory_bytes(torch.device(str(device)))
        row["memory/peak_bytes"] = sum(self._ranks.gather(peak))
        self._rows, self._since, self._done = [], now, of.done
        return row
