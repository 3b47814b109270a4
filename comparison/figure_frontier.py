"""What memory buys: scores against the bytes of a core's state and the time of its steps."""

from collections.abc import Callable, Mapping
from statistics import fmean, median

from comparison.figure_parts import Panel, Plot, as_csv, legend, panel_axes
from comparison.figure_style import MUTED, Look, looks, svg
from comparison.numbers import Comparison
from comparison.page_text import across
from comparison.run_record import RunRecord

BYTES, MICROSECONDS = "state, bytes", "microseconds a step"
HEIGHT = 2.6  # inches
Cost = Callable[[RunRecord], float | None]
Point = tuple[float, float]
"""A cost, and the mean score that is had for it."""


def frontier(comparison: Comparison) -> Plot | None:
    """Mean score over the shared tasks against both costs, one panel each."""
    scores = {
        core: fmean(task.normalised(core).mean() for task in comparison.shared_tasks)
        for core in comparison.shared_cores
    }
    costs = {
        BYTES: _costs(comparison, _state_bytes),
        MICROSECONDS: _costs(comparison, _step_microseconds),
    }
    style = looks(comparison.cores)
    panels = [
        _panel(name, {core: (of[core], scores[core]) for core in of}, style)
        for name, of in costs.items()
        if len(of) > 1
    ]
    if not panels:
        return None
    return Plot(
        name="frontier",
        title=f"What a score costs {across(comparison)}",
        caption="Mean score against the bytes that a core carries from step to step, for one "
        "environment, and against the time of a step of training with everything in it: the "
        "median over the runs. The line joins the cores that none beats at their cost or less.",
        panels=[*legend("frontier", list(scores), style, by_marker=True), *panels],
        csv=as_csv(
            ("core", "score", *costs),
            ((core, scores[core], *(of.get(core) for of in costs.values())) for core in scores),
        ),
    )


def undominated(points: Mapping[str, Point]) -> list[str]:
    """Returns the names of the points that no other beats at the same cost or less, by cost."""
    best, found = float("-inf"), []
    for name, (_, score) in sorted(points.items(), key=lambda item: (item[1][0], -item[1][1])):
        if score > best:
            best = score
            found.append(name)
    return found


def _costs(comparison: Comparison, cost: Cost) -> dict[str, float]:
    """Returns the median over the runs of the shared tasks by core, where it is known of each."""
    found = {}
    for core in comparison.shared_cores:
        of_runs = [cost(run) for task in comparison.shared_tasks for run in task.scored[core]]
        known = [value for value in of_runs if value is not None]
        if len(known) == len(of_runs):
            found[core] = median(known)
    return found


def _state_bytes(run: RunRecord) -> float | None:
    return run.score.size.get("state_bytes") if run.score else None


def _step_microseconds(run: RunRecord) -> float | None:
    speed = run.units_per_second
    return 1e6 * run.kind.units_per_step(run.task) / speed if speed else None


def _panel(name: str, points: Mapping[str, Point], style: dict[str, Look]) -> Panel:
    figure, axes = panel_axes(HEIGHT)
    best = undominated(points)
    axes.plot(*zip(*(points[core] for core in best), strict=True), color=MUTED, lw=0.9, zorder=1)
    for core, point in points.items():
        look = style[core]
        axes.plot(*point, look.marker, color=look.color, mfc=look.face, mew=1.3)
    if name == BYTES:
        axes.set_xscale("symlog", linthresh=100.0)  # a core without memory has none
    axes.xaxis.set_major_formatter("{x:,.0f}")
    axes.set(xlabel=name, ylabel="score")
    return Panel(title=name, svg=svg(figure, f"frontier-{name}"))
