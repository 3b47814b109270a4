"""What a user sees of a run: a live table on a terminal, plain lines elsewhere."""

import time
from datetime import timedelta
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

SHOWN = (
    ("speed/frames_per_second", "frames/s", "{:,.0f}"),
    ("return/last_100_games_points", "return of last 100 games", "{:.2f}"),
    ("loss/policy", "policy loss", "{:.4f}"),
    ("loss/value", "value loss", "{:.4f}"),
    ("loss/entropy", "entropy", "{:.3f}"),
    ("learner/lag_updates", "lag, updates", "{:.1f}"),
    ("share/env", "time in env", "{:.0%}"),
    ("share/inference", "time in inference", "{:.0%}"),
    ("share/learner", "time in learner", "{:.0%}"),
    ("share/core", "of that in the core", "{:.0%}"),
)
PLAIN_INTERVAL_SECONDS = 10.0


class ProgressDisplay:
    """Shows the newest row of metrics; use as a context manager.

    Args:
        title: what runs.
        frames: where it begins.
        total_frames: where it ends.
    """

    def __init__(self, title: str, frames: int, total_frames: int) -> None:
        self._total_frames = total_frames
        self._console = Console()
        self._bar = Progress(
            TextColumn(title),
            BarColumn(),
            TextColumn("{task.completed:,.0f} of {task.total:,.0f} frames"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(title, completed=frames, total=total_frames)
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
        if self._live:
            self._live.stop()

    def update(self, row: dict[str, Any]) -> None:
        """Shows a row of metrics."""
        self._bar.update(self._task, completed=row["frames"])
        shown = [(label, form.format(row[tag])) for tag, label, form in SHOWN if tag in row]
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
            left = time_left(row, self._total_frames)
            values = "  ".join(f"{label} {value}" for label, value in [("left", left), *shown])
            print(f"{row['frames']:>12,} frames  {values}", flush=True)


def time_left(row: dict[str, Any], total_frames: int) -> str:
    """Returns h:mm:ss to total_frames at the speed of this row of metrics."""
    return duration(max(0, total_frames - row["frames"]) / row["speed/frames_per_second"])


def duration(seconds: float) -> str:
    """Returns hours, minutes and seconds, as in 1:02:03; of decades only that."""
    limit = timedelta(days=10_000)
    if seconds > limit.total_seconds():
        return f"over {limit.days:,} days"
    return str(timedelta(seconds=round(seconds)))
