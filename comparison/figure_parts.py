"""What the figures of a report share: panels, markers, a legend, and their data as CSV."""

import csv
import io
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from comparison.figure_style import Look, svg
from comparison.report_table import number
from comparison.statistics import Estimate
from envs import Scores
from experiment.files import file_name

WIDTH, LINE = 4.2, 0.26  # inches: of a panel, and of a line of text with its space
LONGEST_NAME = 22  # characters on a line
FLAT = 0.01  # of a task's scale; what lies closer together shows nothing
MAX_FILE_NAME = 80  # characters
LEGEND = "legend"


@dataclass(frozen=True, kw_only=True)
class Panel:
    """One picture of a figure.

    Args:
        title: what it is of.
        svg: the picture.
    """

    title: str
    svg: str


@dataclass(frozen=True, kw_only=True)
class Plot:
    """A figure as files: panels that stand beside or below each other, and their data.

    Args:
        name: of its files, as they begin.
        title: what was compared.
        caption: what it shows, for readers who see it and for those who cannot.
        panels: its pictures.
        csv: the numbers that it shows.
    """

    name: str
    title: str
    caption: str
    panels: Sequence[Panel]
    csv: str

    @property
    def files(self) -> dict[str, Panel]:
        """The panels by the names of their files."""
        stems = [f"{self.name}-{file_name(panel.title)[:MAX_FILE_NAME]}" for panel in self.panels]
        unique = [
            f"{stem}-{i}" if stems.count(stem) > 1 else stem for i, stem in enumerate(stems, 1)
        ]
        return {f"{s}.svg": panel for s, panel in zip(unique, self.panels, strict=True)}


def panel_axes(height: float, title: str = "") -> tuple[Figure, Axes]:
    """Returns a figure of one panel, `height` inches of it between title and label of the axis."""
    figure = Figure(figsize=(WIDTH, height + 0.8), layout="constrained")
    axes = figure.subplots()
    axes.set_title(wrapped(title, 2 * LONGEST_NAME))
    return figure, axes


def row_axes(cores: Sequence[str], title: str) -> tuple[Figure, Axes]:
    """Returns a figure of one panel with a named row for each core, from the top."""
    names = [wrapped(core, LONGEST_NAME) for core in cores]
    figure, axes = panel_axes(height_of(names), title)
    axes.set_yticks(range(len(cores)), names)
    axes.set_ylim(len(cores) - 0.5, -0.5)
    axes.spines["left"].set_visible(False)
    return figure, axes


def draw_estimate(axes: Axes, estimate: Estimate, y: float, look: Look) -> None:
    """Draws a value as its core's marker in row y, its interval as a bar."""
    if estimate.interval:
        axes.plot(
            estimate.interval, (y, y), color=look.color, lw=9, alpha=0.3, solid_capstyle="butt"
        )
    axes.plot(
        estimate.value, y, look.marker, color=look.color, mfc=look.face, mew=1.3, ms=5.5, zorder=3
    )


def legend(
    plot: str, cores: Sequence[str], style: dict[str, Look], *, by_marker: bool = False
) -> list[Panel]:
    """Returns a panel that names the cores by their lines, or markers; none of one core only."""
    if len(cores) < 2:
        return []
    names = [wrapped(core, 2 * LONGEST_NAME) for core in cores]
    figure = Figure(figsize=(WIDTH, height_of(names) + 0.3))
    figure.legend(
        handles=[
            marker_of(style[core], name) if by_marker else line_of(style[core], name)
            for core, name in zip(cores, names, strict=True)
        ],
        loc="center left",
    )
    return [Panel(title=LEGEND, svg=svg(figure, f"{plot}-{LEGEND}"))]


def line_of(look: Look, name: str) -> Line2D:
    """Returns a core's line, for a legend."""
    return Line2D([], [], color=look.color, ls=look.dashes, label=name)


def marker_of(look: Look, name: str) -> Line2D:
    """Returns a core's marker, for a legend."""
    return Line2D([], [], color=look.color, marker=look.marker, mfc=look.face, ls="", label=name)


def height_of(names: Sequence[str]) -> float:
    """Returns the inches of rows of one height that these names fit into."""
    return LINE * len(names) * max(name.count("\n") + 1 for name in names)


def wrapped(text: str, width: int) -> str:
    """Returns text in lines of at most so many characters."""
    return "\n".join(textwrap.wrap(text, width))


def flat_range(values: Sequence[float], scale: Scores | None) -> str:
    """Returns the range of values that are so much alike that a picture of them shows nothing.

    Args:
        values: scores of one task, one or more.
        scale: of the task; None where it is not known.

    Returns:
        The range as text; "" where there is something to see.
    """
    low, high = min(values), max(values)
    is_rising = scale is not None and scale.ceiling > scale.floor
    span = scale.ceiling - scale.floor if scale and is_rising else max(abs(low), abs(high))
    if high - low > FLAT * span:
        return ""
    return " to ".join(dict.fromkeys((number(low), number(high))))


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
