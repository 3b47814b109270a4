"""A table of a report: rows of text and numbers under a header, some of them shaded."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from comparison.statistics import Estimate

NONE = "-"
MAX_WORD = 24  # characters that stand together; a longer word may be broken
BREAKPOINTS = (480, 640, 800, 960, 1120, 1280)  # pixels of room; the last is more than there is
CHARACTER, BOLD = 7.6, 9.2  # pixels, in DejaVu Sans: a digit of the page, a letter of its header
PADDING = 22.0  # pixels: the sides of a cell


@dataclass(frozen=True, slots=True)
class Cell:
    """A number that can be seen before it is read.

    Args:
        text: the number.
        heat: how dark its ground is, 0 to 1; None for none.
        is_best: whether it is bold.
        detail: what stands below it, smaller.
    """

    text: str
    heat: float | None = None
    is_best: bool = False
    detail: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows under a header.

    Args:
        header: one name per column.
        rows: one text, or shaded number, per column.
        num_labels: leading columns that name the row; the others hold numbers.
        note: how to read it, below it.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str | Cell]]
    num_labels: int = 1
    note: str = ""

    @property
    def stacks_below(self) -> int:
        """Pixels of room below which each row is shown as a card: the columns would not fit."""
        columns = zip(*self.rows, strict=True)
        widths = [
            max(
                BOLD * _least_width(name),
                *(CHARACTER * _least_width(cell, i >= self.num_labels) for cell in column),
            )
            for i, (name, column) in enumerate(zip(self.header, columns, strict=True))
        ]
        needed = sum(widths) + PADDING * len(widths)
        return next((room for room in BREAKPOINTS if needed <= room), BREAKPOINTS[-1])

    @property
    def is_shaded(self) -> bool:
        """Whether it is a heat map."""
        return any(isinstance(cell, Cell) for row in self.rows for cell in row)


def words(text: str) -> list[str]:
    """Returns the parts of a text between which a line may be broken; joined they are the text."""
    parts = re.findall(r"[^\s_/=,-]*[\s_/=,-]+|[^\s_/=,-]+", text)
    return [p[i : i + MAX_WORD] for p in parts for i in range(0, len(p), MAX_WORD)]


def number(value: float | None) -> str:
    """Returns a number with as many digits as a reader can use."""
    if value is None:
        return NONE
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def bounds(estimate: Estimate) -> str:
    """Returns an interval, where there is one."""
    if estimate.interval is None:
        return NONE
    low, high = estimate.interval
    return f"{number(low)} to {number(high)}"


def interval(estimate: Estimate) -> str:
    """Returns a value with its interval, where there is one."""
    value = number(estimate.value)
    return value if estimate.interval is None else f"{value} ({bounds(estimate)})"


def _least_width(cell: str | Cell, is_number: bool = False) -> int:
    """Returns the characters of a cell that stand on one line at least; a number's all do."""
    if isinstance(cell, Cell):
        return max(len(cell.text), len(cell.detail))
    return len(cell) if is_number else max(map(len, words(cell)), default=0)
