"""Learning curves of the seeds of one core, and their mean where all of them have data."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from comparison.run_record import Metrics, RunRecord
from comparison.statistics import MIN_RUNS, Array, t_half_width

GRID_POINTS = 100
Curve = tuple[Array, Array]


class Axis(NamedTuple):
    """What curves run over."""

    label: str
    column: str
    values: Callable[[Metrics], Array]


def by_done(unit: str) -> Axis:
    """Returns the axis of units of training."""
    return Axis(f"million {unit}", f"million_{unit}", lambda metrics: metrics.done / 1e6)


BY_SECONDS = Axis("minutes of training", "minutes", lambda metrics: metrics.seconds / 60)


class MeanCurve(NamedTuple):
    """Mean over seeds on a grid, and half the width of its t interval or None."""

    x: Array
    mean: Array
    half_width: Array | None


def run_curves(runs: Sequence[RunRecord], axis: Axis) -> dict[int, Curve]:
    """Returns x and score of every run that has a curve, by seed."""
    return {
        run.config.seed: (axis.values(run.metrics), run.metrics.scores)
        for run in runs
        if len(run.metrics.scores)
    }


def mean_curve(curves: Sequence[Curve]) -> MeanCurve | None:
    """Returns the mean where all curves have data, each interpolated linearly, or None."""
    if not curves:
        return None
    first, last = max(x[0] for x, _ in curves), min(x[-1] for x, _ in curves)
    if not first < last:
        return None
    grid = np.linspace(first, last, GRID_POINTS)
    values = np.array([np.interp(grid, x, y) for x, y in curves])
    half = None
    if len(curves) >= MIN_RUNS:
        half = t_half_width(values)
    return MeanCurve(grid, values.mean(axis=0), half)
