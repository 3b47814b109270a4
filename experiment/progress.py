"""What a user sees of a run: a live table on a terminal, plain lines elsewhere."""

import time
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

PLAIN_INTERVAL_SECONDS = 10.0


class ProgressDisplay:
    """Shows the newest row of metrics; use as a context manager.

    Args:
        title: what runs.
        unit: what its progress counts.
        done: where it begins.
        total: where it ends.
        shown: rows of the table beside the speed: tag of a metric, label, format.
    """

    def __init__(
        self, title: str, unit: str, done: int, total: int, shown: Sequence[tuple[str, str, str]]
    ) -> None:
        self._unit, self._total = unit, total
        self._shown = [(f"speed/{unit}_per_second", f"{unit}/s", "{:,.0f}"), *shown]
        self._console = Console()
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} " + unit),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(title, completed=done, total=total)
        self._live = Live(self._bar, console=self._console) if self._console.is_terminal else None
        self._last_line = 0.0

    def __enter__(self) -> "ProgressDisplay":
        """Starts the display."""
        if self._live:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the last state on screen."""
        with suppress(OSError):
            if self._live:
                self._live.stop()

    def update(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics; where the terminal was closed, nothing."""
        with suppress(OSError):
            self._show(row)

    def _show(self, row: dict[str, Any]) -> None:
        self._bar.update(self._task, completed=row[self._unit])
        shown = [(label, form.format(row[tag])) for tag, label, form in self._shown if tag in row]
        if self._live:
            table = Table.grid(padding=(0, 2))
            table.add_row(self._bar)
            for label, value in shown:
                table.add_row(f"{label:>26}  {value}")
            self._live.update(table)
            return
        now, is_last = time.monotonic(), self._bar.tasks[0].finished
        if is_last or now - self._last_line >= PLAIN_INTERVAL_SECONDS:
            self._last_line = now
            left = time_left(self._total - row[self._unit], row[self._shown[0][0]])
            values = "  ".join(f"{label} {value}" for label, value in [("left", left), *shown])
            print(f"{row[self._unit]:>12,} {self._unit}  {values}", flush=True)


def time_left(left: int, per_second: float) -> str:
    """Returns h:mm:ss for what is left at a speed."""
    return duration(max(0, left) / per_second)


def duration(seconds: float) -> str:
    """Returns hours, minutes and seconds, as in 1:02:03; of decades only that."""
    limit = timedelta(days=10_000)
    if seconds > limit.total_seconds():
        return f"over {limit.days:,} days"
    return str(timedelta(seconds=round(seconds)))
