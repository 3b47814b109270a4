"""Figure of what generalises: scores of the same weights on shorter, longer or deeper tasks."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from comparison.evaluation_record import Evaluation
from comparison.figure_parts import Panel, Plot, as_csv, legend, panel_axes
from comparison.figure_style import MUTED, Look, looks, svg
from comparison.grouping import Task
from comparison.numbers import Comparison
from comparison.run_record import RunRecord
from experiment.settings import flat_values, plain_values

COLUMNS = ("task", "core", "seed", "setting", "size", "measured")
Curves = dict[tuple[str, int], list[tuple[float, float]]]
"""By core and seed: sizes and what was measured there, in order of size."""


def sizes(comparison: Comparison) -> Plot | None:
    """What was measured over the size of the task, those of training and others."""
    style = looks(comparison.cores)
    rows: list[Sequence[Any]] = []
    panels = []
    for task in comparison.tasks:
        for name in comparison.kind.sizes:
            curves = size_curves(task, name)
            if not curves:
                continue
            short = name.split(".")[-1]
            panels.append(_panel(task, short, curves, style))
            for (core, seed), points in curves.items():
                rows += [(task.name, core, seed, short, *point) for point in points]
    if not panels:
        return None
    return Plot(
        name="sizes",
        title="Beyond what was trained on",
        caption="The same weights on tasks of other sizes: thin lines are seeds, thick lines their "
        "mean where every seed was asked. Dotted: the size of training.",
        panels=[*legend("sizes", comparison.cores, style), *panels],
        csv=as_csv(COLUMNS, rows),
    )


def size_curves(task: Task, name: str) -> Curves:
    """Returns the curves of a task over one setting of its size; {} where it was not varied."""
    curves: Curves = {}
    for core, runs in task.scored.items():
        for run in runs:
            points: dict[float, float] = {}
            for size, value in _points(run, name):
                points.setdefault(size, value)  # of several the one that varies least comes first
            if len(points) > 1:
                curves[core, run.config.seed] = sorted(points.items())
    return curves


def _points(run: RunRecord, name: str) -> Iterator[tuple[float, float]]:
    """Yields size and measure of every evaluation that varies nothing but sizes of the task."""
    trained = trained_size(run, name)
    if trained is None or run.score is None:
        return
    yield trained, run.score.value
    for evaluation in run.others:
        if name in evaluation.settings and _is_of_sizes(evaluation):
            yield float(evaluation.settings[name]), evaluation.value


def trained_size(run: RunRecord, name: str) -> float | None:
    """Returns the size that a run was trained with; None where its task has none such."""
    value = flat_values(plain_values(run.config)).get(run.kind.sizes[name])
    return None if value is None else float(value)


def _is_of_sizes(evaluation: Evaluation) -> bool:
    """Returns whether an evaluation differs from that of the score in the task's numbers alone."""
    return all(
        (name == "length" or name.startswith("args.")) and isinstance(value, int | float)
        for name, value in evaluation.settings.items()
    )


def _panel(task: Task, short: str, curves: Curves, style: dict[str, Look]) -> Panel:
    figure, axes = panel_axes(2.0, task.name)
    for core in dict.fromkeys(core for core, _ in curves):
        of_core = [np.array(points) for (owner, _), points in curves.items() if owner == core]
        look = style[core]
        for points in of_core:
            axes.plot(*points.T, color=look.color, lw=0.8, alpha=0.4, ls=look.dashes)
        shared = sorted(set.intersection(*(set(points[:, 0]) for points in of_core)))
        means = [np.mean([p[p[:, 0] == x, 1].mean() for p in of_core]) for x in shared]
        axes.plot(
            shared, means, look.marker, color=look.color, mfc=look.face, ls=look.dashes, ms=4.5
        )
    first = next(iter(task.scored.values()))[0]
    name = next(n for n in task.kind.sizes if n.split(".")[-1] == short)
    axes.axvline(trained_size(first, name) or 0, color=MUTED, lw=0.8, ls=(0, (2, 2)))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel(short.replace("_", " "))
    axes.set_ylabel(task.measure)
    return Panel(title=f"{task.name}, {short}", svg=svg(figure, f"sizes-{task.name}-{short}"))
