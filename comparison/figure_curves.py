"""Figures of learning: the score of training over its length, and over wall time."""

from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes

from comparison.curves import BY_SECONDS, Axis, by_done, mean_curve, run_curves
from comparison.figure_parts import Panel, Plot, as_csv, flat_range, legend, panel_axes
from comparison.figure_scores import BAND_OPACITY, MEAN
from comparison.figure_style import MUTED, Look, looks, svg
from comparison.grouping import Task
from comparison.numbers import Comparison
from comparison.page_text import left_out
from comparison.statistics import MIN_RUNS

COLUMNS = ("task", "core", "seed", "x", "score", "low", "high")
SCORE = COLUMNS.index("score")
Rows = list[Sequence[Any]]


def curves_over_length(comparison: Comparison) -> Plot | None:
    """Learning curves over frames or tokens."""
    return _curves(comparison, f"curves_{comparison.kind.unit}", by_done(comparison.kind.unit))


def curves_over_time(comparison: Comparison) -> Plot | None:
    """Learning curves over wall time."""
    return _curves(comparison, "curves_time", BY_SECONDS)


def _curves(comparison: Comparison, name: str, axis: Axis) -> Plot | None:
    style = looks(comparison.cores)
    rows: Rows = []
    panels: list[Panel] = []
    flat: dict[str, str] = {}
    for task in comparison.tasks:
        figure, axes = panel_axes(2.0, task.name)
        drawn = _draw_task(axes, task, axis, style)
        rows += drawn
        if not drawn:
            continue
        flat[task.name] = flat_range([row[SCORE] for row in drawn], task.scale)
        if not flat[task.name]:
            panels.append(Panel(title=task.name, svg=svg(figure, f"{name}-{task.name}")))
    if not panels:
        return None
    return Plot(
        name=name,
        title=f"{comparison.kind.words.curve} over {axis.label}",
        caption=f"{comparison.kind.words.curves}: thin lines are seeds, thick lines their mean "
        "where all of them have data, bands 95 % t intervals where there are "
        f"{MIN_RUNS} seeds or more. Dotted: the floor of the task." + left_out(flat),
        panels=[*legend(name, comparison.cores, style), *panels],
        csv=as_csv([axis.column if name == "x" else name for name in COLUMNS], rows),
    )


def _draw_task(axes: Axes, task: Task, axis: Axis, style: dict[str, Look]) -> Rows:
    """Draws every core of a task; returns the rows of what is drawn."""
    rows: Rows = []
    for core, runs in task.runs.items():
        curves = run_curves(runs, axis)
        for seed, (x, y) in curves.items():
            marker = style[core].marker if len(x) == 1 else ""
            axes.plot(
                x,
                y,
                color=style[core].color,
                lw=0.8,
                alpha=0.4,
                ls=style[core].dashes,
                marker=marker,
                ms=4,
            )
            rows += [(task.name, core, seed, a, b) for a, b in zip(x, y, strict=True)]
        mean = mean_curve(list(curves.values()))
        if mean is not None:
            axes.plot(mean.x, mean.mean, color=style[core].color, ls=style[core].dashes)
            drawn = [mean.x, mean.mean]
            if mean.half_width is not None:
                low, high = mean.mean - mean.half_width, mean.mean + mean.half_width
                axes.fill_between(
                    mean.x, low, high, color=style[core].color, alpha=BAND_OPACITY, lw=0
                )
                drawn += [low, high]
            rows += [(task.name, core, MEAN, *point) for point in zip(*drawn, strict=True)]
    if task.scale is not None and not task.less_is_better:
        axes.axhline(task.scale.floor, color=MUTED, lw=0.8, ls=(0, (2, 2)))
    axes.set_xlabel(axis.label)
    axes.set_xlim(left=0)
    axes.set_ylabel(task.measure)
    return rows
