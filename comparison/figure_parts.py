"""What the figures of a report share: panels, markers, legends, and their data as CSV."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from comparison.figure_style import Look
from comparison.statistics import Estimate


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure as files.

    Args:
        name: of its files, without suffix.
        caption: what it shows, for readers who see it and for those who cannot.
        svg, csv: contents of the files.
    """

    name: str
    caption: str
    svg: str
    csv: str


def panels_of(number: int, *, height: float) -> tuple[Figure, list[Axes]]:
    """Returns a figure with a panel per task, `height` inches each."""
    columns = 2 if number in (2, 4) else min(number, 3)
    lines = -(-number // columns)
    width = 9.6 if columns > 1 else 6.0
    figure = Figure(figsize=(width, lines * height + 0.3), layout="constrained")
    grid = figure.subplots(lines, columns, squeeze=False).flatten()
    for empty in grid[number:]:
        empty.remove()
    return figure, list(grid[:number])


def draw_estimate(axes: Axes, estimate: Estimate, y: float, look: Look) -> None:
    """Draws a value as its core's marker in row y, its interval as a bar."""
    if estimate.interval:
        axes.plot(
            estimate.interval, (y, y), color=look.color, lw=9, alpha=0.3, solid_capstyle="butt"
        )
    axes.plot(
        estimate.value, y, look.marker, color=look.color, mfc=look.face, mew=1.3, ms=5.5, zorder=3
    )


def name_rows(axes: Axes, cores: Sequence[str]) -> None:
    """Gives each core a row of its own, from the top."""
    axes.set_yticks(range(len(cores)), cores)
    axes.set_ylim(len(cores) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)


def draw_legend(figure: Figure, cores: Sequence[str], style: dict[str, Look]) -> None:
    """Names the cores above a figure, six to a line at most."""
    handles = [Line2D([], [], color=style[c].color, ls=style[c].dashes, label=c) for c in cores]
    figure.legend(
        handles=handles, loc="outside upper left", ncols=-(-len(cores) // -(-len(cores) // 6))
    )


def numbers(estimate: Estimate) -> tuple[float, float | None, float | None]:
    """Returns value, low and high."""
    return estimate.value, *(estimate.interval or (None, None))


def as_csv(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Returns rows under a header: numbers to six digits, short rows filled up with nothing."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    for row in rows:
        cells = [float(f"{cell:.6g}") if isinstance(cell, float) else cell for cell in row]
        writer.writerow([*cells, *[None] * (len(header) - len(row))])
    return text.getvalue()
