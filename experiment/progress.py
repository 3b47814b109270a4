"""What a user sees of a run: what begins, how far it is, how it goes, and where it is kept."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from experiment.live import LiveDisplay, bar, duration, in_one_line, sparkline, time_left

Shown = Sequence[tuple[str, str, str]]
"""Values to show: tag of a metric, label, format. Of one that is a list the entries are counted."""


class ProgressDisplay(LiveDisplay):
    """Shows what a run does, and its newest row of metrics.

    Args:
        title: what runs.
        unit: what its progress counts.
        folder: of the run.
    """

    def __init__(self, title: str, unit: str, folder: Path) -> None:
        super().__init__(waits=True)
        self._title, self._unit, self._folder = title, unit, folder
        self._done, self._total = 0, 0
        self._doing = ""
        self._shown: Shown = ()
        self._row: dict[str, Any] = {}
        self._scores: list[float] = []
        self._counted: Counter[str] = Counter()

    def doing(self, what: str) -> None:
        """Says what happens before or between steps; "" once steps are made again."""
        self._doing = what
        self.changed(at_once=True)

    def begin(self, done: int, total: int, shown: Shown) -> None:
        """Takes in where the run stands; the first value of `shown` is its score."""
        self._done, self._total, self._shown = done, total, shown
        self.doing("")

    def update(self, row: Mapping[str, Any]) -> None:
        """Takes in a row of metrics."""
        self._done = row[self._unit]
        self._counted.update({tag: len(x) for tag, x in row.items() if isinstance(x, list)})
        self._row = {**row, **self._counted}
        score = self._shown[0][0]
        if score in row:
            self._scores.append(row[score])
        self.changed(is_last=self._done >= self._total)

    def line_before(self) -> str:
        """Says what is built."""
        return f"building {self._title} ..."

    def first_line(self) -> str:
        """Says what is trained, where it is kept, and how to end it."""
        return f"training {self._title}, into {self._folder}; Ctrl-C saves"

    def parts(self) -> Sequence[str]:
        """Says how far the run is and how it goes."""
        values = (f"{label} {value}" for label, value in self._values())
        return [self._count(), *self._times(), *values]

    def picture(self) -> RenderableType:
        """Draws the same, with the curve of the score."""
        width = self._console.width
        if not self._total:
            return in_one_line([self.line_before(), f"{self._folder}"], width)
        table = Table.grid(padding=(0, 2))
        for label, value in [("", sparkline(self._scores)), *self._values()]:
            table.add_row(f"{label:>26}", value)
        return Group(
            in_one_line([self._title, f"{self._folder}", "Ctrl-C saves"], width),
            bar(self._total, self._done, width),
            in_one_line([self._count()], width),
            in_one_line([*self._times(), self._doing], width),
            table,
        )

    def _count(self) -> str:
        share = int(100 * min(1.0, self._done / self._total))
        return f"{self._done:,} of {self._total:,} {self._unit}, {share}%"

    def _times(self) -> list[str]:
        speed = self._row.get(self._speed, 0.0)
        left = time_left(self._total - self._done, speed) if speed else "..."
        return [f"{duration(self.elapsed)} elapsed", f"{left} left"]

    def _values(self) -> list[tuple[str, str]]:
        shown = [*self._shown[:1], (self._speed, f"{self._unit}/s", "{:,.0f}"), *self._shown[1:]]
        there = [(tag, label, form) for tag, label, form in shown if tag in self._row]
        return [(label, form.format(self._row[tag])) for tag, label, form in there]

    @property
    def _speed(self) -> str:
        return f"speed/{self._unit}_per_second"
