"""Figures of scores: every seed on every task, and what lies across tasks."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from comparison.figure_parts import (
    Panel,
    Plot,
    as_csv,
    draw_estimate,
    flat_range,
    legend,
    numbers,
    panel_axes,
    row_axes,
)
from comparison.figure_style import MUTED, Look, looks, svg
from comparison.grouping import Task
from comparison.numbers import Comparison
from comparison.page_text import across, left_out
from comparison.statistics import AGGREGATES, MIN_RUNS, mean_of_runs
from envs import Scores

BAND_OPACITY = 0.16
MEAN = "mean"  # in place of a seed


def scores(comparison: Comparison) -> Plot | None:
    """Every seed as a point, the mean and its t interval, one panel per task."""
    style = looks(comparison.cores)
    tasks = [task for task in comparison.tasks if task.scored]
    flat = {task.name: flat_range(_all_measured(task), task.scale) for task in tasks}
    panels = [_scores_panel(task, style) for task in tasks if not flat[task.name]]
    if not panels:
        return None
    return Plot(
        name="scores",
        title="Scores of every run",
        caption="Final score of every seed (points), and their mean (marker) with a 95 % t "
        f"interval where there are {MIN_RUNS} seeds or more. 0 is the floor of the task, 1 its "
        "ceiling." + left_out(flat),
        panels=panels,
        csv=as_csv(
            ("task", "core", "seed", "measured", "score", "low", "high"),
            (row for task in tasks for core in task.scored for row in _score_rows(task, core)),
        ),
    )


def aggregates(comparison: Comparison) -> Plot | None:
    """IQM, median, mean and optimality gap across tasks."""
    of_cores = comparison.aggregates
    if not of_cores:
        return None
    values = {name: [of[name].value for of in of_cores.values()] for name in AGGREGATES}
    flat = {name: flat_range(of, Scores(0.0, 1.0)) for name, of in values.items()}
    style = looks(comparison.cores)
    panels = [_aggregate_panel(comparison, n, style) for n in AGGREGATES if not flat[n]]
    if not panels:
        return None
    return Plot(
        name="aggregates",
        title=f"Scores {across(comparison)}",
        caption="With 95 % percentile intervals of a bootstrap that resamples the seeds of each "
        f"task, where every task has {MIN_RUNS} seeds or more." + left_out(flat),
        panels=panels,
        csv=as_csv(
            ("core", "statistic", "value", "low", "high"),
            (
                (core, name, *numbers(estimate))
                for core, of in of_cores.items()
                for name, estimate in of.items()
            ),
        ),
    )


def profiles(comparison: Comparison) -> Plot | None:
    """Share of runs above every score."""
    if not comparison.profiles:
        return None
    style = looks(comparison.cores)
    title = f"Share of runs above every score {across(comparison)}"
    figure, axes = panel_axes(2.0)
    for core, (tau, share, low, high) in comparison.profiles.items():
        color = style[core].color
        axes.plot(tau, share, color=color, ls=style[core].dashes)
        if low is not None and high is not None:
            axes.fill_between(tau, low, high, color=color, alpha=BAND_OPACITY, lw=0)
    axes.set(xlabel="score τ", ylabel="share of runs above τ", ylim=(-0.03, 1.03))
    rows = [
        (core, *(None if column is None else column[i] for column in profile))
        for core, profile in comparison.profiles.items()
        for i in range(len(profile.thresholds))
    ]
    return Plot(
        name="profiles",
        title=title,
        caption="Performance profiles: the share of runs, averaged over tasks, that score above "
        "τ. A curve that lies above another everywhere is better at every level.",
        panels=[
            *legend("profiles", comparison.shared_cores, style),
            Panel(title="all runs", svg=svg(figure, "profiles")),
        ],
        csv=as_csv(("core", "tau", "share", "low", "high"), rows),
    )


def _all_measured(task: Task) -> list[float]:
    return [float(value) for core in task.scored for value in task.measured(core)]


def _score_rows(task: Task, core: str) -> list[Sequence[Any]]:
    values = task.normalised(core)
    return [
        *(
            (task.name, core, run.config.seed, run.score and run.score.value, value)
            for run, value in zip(task.scored[core], values, strict=True)
        ),
        (task.name, core, MEAN, task.measured(core).mean(), *numbers(mean_of_runs(values))),
    ]


def _scores_panel(task: Task, style: dict[str, Look]) -> Panel:
    figure, axes = row_axes(list(task.scored), task.name)
    drawn = [0.0, 1.0]
    for y, core in enumerate(task.scored):
        values = task.measured(core) if task.less_is_better else task.normalised(core)
        beneath = np.full(len(values), y + 0.3)
        axes.scatter(values, beneath, s=14, color=style[core].color, alpha=0.6, lw=0)
        estimate = mean_of_runs(values)
        draw_estimate(axes, estimate, y, style[core])
        drawn += [*values, *(estimate.interval or ())]
    is_on_scale = task.scale is not None and not task.less_is_better
    if is_on_scale:
        margin = 0.05 * (max(drawn) - min(drawn))
        axes.set_xlim(min(drawn) - margin, max(drawn) + margin)
        _reference_lines(axes)
    axes.set_xlabel("score" if is_on_scale else task.measure)
    return Panel(title=task.name, svg=svg(figure, f"scores-{task.name}"))


def _aggregate_panel(comparison: Comparison, name: str, style: dict[str, Look]) -> Panel:
    cores = comparison.shared_cores
    figure, axes = row_axes(cores, name)
    for y, core in enumerate(cores):
        draw_estimate(axes, comparison.aggregates[core][name], y, style[core])
    axes.set_xlabel("lower is better" if name == "optimality gap" else "score")
    axes.margins(x=0.12)
    return Panel(title=name, svg=svg(figure, f"aggregates-{name}"))


def _reference_lines(axes: Axes) -> None:
    for x in (0.0, 1.0):
        axes.axvline(x, color=MUTED, lw=0.9, ls=(0, (2, 2)), zorder=0.5)
