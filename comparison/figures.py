"""The figures of a report: each an SVG for light and dark, and the numbers it shows as CSV."""

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from comparison.curves import BY_FRAMES, BY_SECONDS, Axis, mean_curve, run_curves
from comparison.figure_parts import (
    Plot,
    as_csv,
    draw_estimate,
    draw_legend,
    name_rows,
    numbers,
    panels_of,
)
from comparison.figure_style import MUTED, RC, looks, svg
from comparison.numbers import Comparison
from comparison.statistics import AGGREGATES, mean_of_runs

BAND_OPACITY = 0.16
MEAN = "mean"  # in place of a seed


def all_plots(comparison: Comparison) -> dict[str, Plot]:
    """Returns every figure that these runs give, by name."""
    makers: tuple[Callable[[Comparison], Plot | None], ...] = (
        scores,
        curves_over_frames,
        curves_over_time,
        aggregates,
        profiles,
        improvement,
    )
    with mpl.rc_context(RC):
        plots = [make(comparison) for make in makers]
    return {plot.name: plot for plot in plots if plot}


def scores(comparison: Comparison) -> Plot | None:
    """Every seed as a point, the mean and its t interval, one panel per task."""
    style = looks(comparison.cores)
    tasks = [task for task in comparison.tasks if task.scored]
    most = max(len(task.scored) for task in tasks)
    figure, panels = panels_of(len(tasks), height=0.32 * most + 0.75)
    rows: list[Sequence[Any]] = []
    for task, axes in zip(tasks, panels, strict=True):
        drawn = [0.0, 1.0]
        for y, core in enumerate(task.scored):
            values = task.normalised(core)
            beneath = np.full(len(values), y + 0.3)
            axes.scatter(values, beneath, s=14, color=style[core].color, alpha=0.6, lw=0)
            estimate = mean_of_runs(values)
            draw_estimate(axes, estimate, y, style[core])
            mean_return = task.returns(core).mean()
            drawn += [*values, *(estimate.interval or ())]
            rows += [
                (task.name, core, run.config.seed, run.score and run.score.mean_return, value)
                for run, value in zip(task.scored[core], values, strict=True)
            ]
            rows.append((task.name, core, MEAN, mean_return, *numbers(estimate)))
        name_rows(axes, list(task.scored))
        axes.set_title(task.name)
        if task.scale:
            margin = 0.05 * (max(drawn) - min(drawn))
            axes.set_xlim(min(drawn) - margin, max(drawn) + margin)
            _reference_lines(axes)
        axes.set_xlabel("score" if task.scale else "return, points")
    return Plot(
        name="scores",
        caption="Final score of every seed (points), and their mean (marker) with a 95 % t "
        "interval where there are five seeds or more. 0 is the floor of the task, 1 its ceiling.",
        svg=svg(figure, "scores"),
        csv=as_csv(("task", "core", "seed", "mean_return", "score", "low", "high"), rows),
    )


def curves_over_frames(comparison: Comparison) -> Plot | None:
    """Learning curves over emulator frames."""
    return _curves(comparison, "curves_frames", BY_FRAMES)


def curves_over_time(comparison: Comparison) -> Plot | None:
    """Learning curves over wall time."""
    return _curves(comparison, "curves_time", BY_SECONDS)


def aggregates(comparison: Comparison) -> Plot | None:
    """IQM, median, mean and optimality gap across tasks."""
    if not comparison.aggregates:
        return None
    cores, style = comparison.shared_cores, looks(comparison.cores)
    figure = Figure(figsize=(9.6, 0.3 * len(cores) + 0.8), layout="constrained")
    for axes, name in zip(
        figure.subplots(1, len(AGGREGATES), sharey=True), AGGREGATES, strict=True
    ):
        for y, core in enumerate(cores):
            draw_estimate(axes, comparison.aggregates[core][name], y, style[core])
        name_rows(axes, cores)
        axes.set_title(name)
        axes.set_xlabel("lower is better" if name == "optimality gap" else "score")
        axes.margins(x=0.12)
    return Plot(
        name="aggregates",
        caption="Scores across tasks with 95 % percentile intervals of a bootstrap that resamples "
        "the seeds of each task, where every task has five seeds or more.",
        svg=svg(figure, "aggregates"),
        csv=as_csv(
            ("core", "statistic", "value", "low", "high"),
            (
                (core, name, *numbers(estimate))
                for core, of in comparison.aggregates.items()
                for name, estimate in of.items()
            ),
        ),
    )


def profiles(comparison: Comparison) -> Plot | None:
    """Share of runs above every score."""
    if not comparison.profiles:
        return None
    style = looks(comparison.cores)
    figure = Figure(figsize=(6.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for core, profile in comparison.profiles.items():
        tau, share, low, high = profile
        color = style[core].color
        axes.plot(tau, share, color=color, ls=style[core].dashes)
        if low is not None and high is not None:
            axes.fill_between(tau, low, high, color=color, alpha=BAND_OPACITY, lw=0)
    axes.set(xlabel="score τ", ylabel="share of runs above τ", ylim=(-0.03, 1.03))
    draw_legend(figure, comparison.shared_cores, style)
    rows = [
        (core, *(None if column is None else column[i] for column in profile))
        for core, profile in comparison.profiles.items()
        for i in range(len(profile.thresholds))
    ]
    return Plot(
        name="profiles",
        caption="Performance profiles: the share of runs, averaged over tasks, that score above "
        "τ. A curve that lies above another everywhere is better at every level.",
        svg=svg(figure, "profiles"),
        csv=as_csv(("core", "tau", "share", "low", "high"), rows),
    )


def improvement(comparison: Comparison) -> Plot | None:
    """The chance that a run of the core of a row beats one of the core of a column."""
    if not comparison.improvement:
        return None
    cores = comparison.shared_cores
    figure = Figure(
        figsize=(0.62 * len(cores) + 2.2, 0.42 * len(cores) + 1.3), layout="constrained"
    )
    axes = figure.subplots()
    for (a, b), estimate in comparison.improvement.items():
        i, j = cores.index(a), cores.index(b)
        for row, column, value in ((i, j, estimate.value), (j, i, 1 - estimate.value)):
            color = "#0072b2" if value >= 0.5 else "#b86e00"
            opacity = 0.75 * abs(2 * value - 1)
            axes.add_patch(_square(column, row, color=color, alpha=opacity))
            axes.text(column, row, f"{value:.2f}", ha="center", va="center")
    axes.set_xticks(range(len(cores)), cores, rotation=30, ha="left", rotation_mode="anchor")
    axes.xaxis.tick_top()
    name_rows(axes, cores)
    axes.set(xlim=(-0.5, len(cores) - 0.5), xlabel="", ylabel="a run of")
    axes.xaxis.set_label_position("top")
    axes.set_xlabel("scores above a run of")
    axes.grid(visible=False)
    axes.spines[:].set_visible(False)
    return Plot(
        name="improvement",
        caption="Probability that a run of the core of the row scores above a run of the core of "
        "the column, averaged over tasks; a tie counts half. Blue: the row is better; brown: not.",
        svg=svg(figure, "improvement"),
        csv=as_csv(
            ("core", "over", "probability", "low", "high"),
            ((a, b, *numbers(e)) for (a, b), e in comparison.improvement.items()),
        ),
    )


def _curves(comparison: Comparison, name: str, axis: Axis) -> Plot | None:
    tasks = [t for t in comparison.tasks if any(run_curves(runs, axis) for runs in t.runs.values())]
    if not tasks:
        return None
    style = looks(comparison.cores)
    figure, panels = panels_of(len(tasks), height=2.5)
    rows: list[Sequence[Any]] = []
    for task, axes in zip(tasks, panels, strict=True):
        for core, runs in task.runs.items():
            color, dashes = style[core].color, style[core].dashes
            curves = run_curves(runs, axis)
            for seed, (x, y) in curves.items():
                axes.plot(x, y, color=color, lw=0.8, alpha=0.4, ls=dashes)
                if len(x) == 1:
                    axes.plot(x, y, color=color, marker=style[core].marker, ms=4)
                rows += [(task.name, core, seed, a, b) for a, b in zip(x, y, strict=True)]
            if (mean := mean_curve(list(curves.values()))) is None:
                continue
            axes.plot(mean.x, mean.mean, color=color, ls=dashes)
            drawn = [mean.x, mean.mean]
            if mean.half_width is not None:
                low, high = mean.mean - mean.half_width, mean.mean + mean.half_width
                axes.fill_between(mean.x, low, high, color=color, alpha=BAND_OPACITY, lw=0)
                drawn += [low, high]
            rows += [(task.name, core, MEAN, *point) for point in zip(*drawn, strict=True)]
        if task.scale is not None:
            axes.axhline(task.scale.floor, color=MUTED, lw=0.8, ls=(0, (2, 2)))
        axes.set_title(task.name)
        axes.set_xlabel(axis.label)
        axes.set_xlim(left=0)
        axes.set_ylabel("return, points")
    draw_legend(figure, comparison.cores, style)
    return Plot(
        name=name,
        caption=f"Mean return of the last 100 training games over {axis.label}: thin lines are "
        "seeds, thick lines their mean where all of them have data, bands 95 % t intervals where "
        "there are five seeds or more. Dotted: the floor of the task.",
        svg=svg(figure, name),
        csv=as_csv(("task", "core", "seed", axis.column, "return", "low", "high"), rows),
    )


def _reference_lines(axes: Axes) -> None:
    for x in (0.0, 1.0):
        axes.axvline(x, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=0.5)


def _square(x: float, y: float, **style: Any) -> Rectangle:
    return Rectangle((x - 0.48, y - 0.46), 0.96, 0.92, lw=0, **style)
