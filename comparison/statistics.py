"""Statistics of a few runs on a few tasks, as Agarwal et al. 2021 define them; SciPy computes them.

A core's scores are one array per task: the normalised scores of its runs (0 floor, 1 ceiling).
Intervals resample the runs of each task apart from the others (stratified bootstrap) and are
percentile intervals: at few runs they are too narrow, and below `MIN_RUNS` none is given.

Source: Deep Reinforcement Learning at the Edge of the Statistical Precipice
(https://arxiv.org/abs/2108.13264), sections 3 and 4.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

Array = NDArray[np.float64]
Interval = tuple[float, float]

MIN_RUNS = 5  # per task, for an interval
CONFIDENCE = 0.95
RESAMPLES = 5000
RESAMPLES_AT_ONCE = 500  # bounds memory
BOOTSTRAP_SEED = 0


class Estimate(NamedTuple):
    """A statistic, and its interval where there are runs enough for one."""

    value: float
    interval: Interval | None


class Profile(NamedTuple):
    """Share of runs that score above each of the thresholds, with bounds or None."""

    thresholds: Array
    share: Array
    low: Array | None
    high: Array | None


def iqm(*tasks: Array, axis: int = -1) -> Any:
    """Interquartile mean: the mean of all runs without the lowest and the highest quarter."""
    return stats.trim_mean(np.concatenate(tasks, axis=axis), 0.25, axis=axis)


def median(*tasks: Array, axis: int = -1) -> Any:
    """Median over the tasks of the mean over a task's runs."""
    return np.median([x.mean(axis=axis) for x in tasks], axis=0)


def mean(*tasks: Array, axis: int = -1) -> Any:
    """Mean over the tasks of the mean over a task's runs."""
    return np.mean([x.mean(axis=axis) for x in tasks], axis=0)


def optimality_gap(*tasks: Array, axis: int = -1) -> Any:
    """How far the runs stay below a score of 1 on average; scores beyond 1 count as 1."""
    return 1.0 - mean(*(np.minimum(x, 1.0) for x in tasks), axis=axis)


AGGREGATES: dict[str, Callable[..., Any]] = {
    "IQM": iqm,
    "median": median,
    "mean": mean,
    "optimality gap": optimality_gap,
}


def aggregates(tasks: Sequence[Array]) -> dict[str, Estimate]:
    """Returns every one of `AGGREGATES` of a core's scores."""

    def statistic(*samples: Array, axis: int = -1) -> Array:
        rows = [of(*samples, axis=axis) for of in AGGREGATES.values()]
        return np.stack(rows)

    values, bounds = _with_bounds(tasks, statistic)
    return {name: _estimate(values, bounds, i) for i, name in enumerate(AGGREGATES)}


def probability_of_improvement(x: Sequence[Array], y: Sequence[Array]) -> Estimate:
    """Returns the chance that a run of x scores above a run of y on a task drawn at random.

    Ties count half. x and y hold the same tasks in the same order.
    """
    num_tasks = len(x)
    assert num_tasks == len(y)

    def statistic(*samples: Array, axis: int = -1) -> Array:
        pairs = zip(samples[:num_tasks], samples[num_tasks:], strict=True)
        wins: Array = np.mean([_share_of_wins(a, b) for a, b in pairs], axis=0)
        return wins[None]

    return _estimate(*_with_bounds([*x, *y], statistic), 0)


def performance_profile(tasks: Sequence[Array], thresholds: Array) -> Profile:
    """Returns the run-score distribution: the mean over tasks of the share of runs above tau."""

    def statistic(*samples: Array, axis: int = -1) -> Array:
        above = [x[..., None, :] > thresholds[:, None] for x in samples]
        return np.moveaxis(np.mean([a.mean(axis=-1) for a in above], axis=0), -1, 0)

    share, bounds = _with_bounds(tasks, statistic)
    return Profile(thresholds, share, *(bounds or (None, None)))


def mean_of_runs(values: Array) -> Estimate:
    """Returns the mean of one task's runs with its t interval.

    Equal values have an interval of no width: a statement about these runs, not the next one.
    """
    centre = float(values.mean())
    if len(values) < MIN_RUNS:
        return Estimate(centre, None)
    half = float(t_half_width(values))
    return Estimate(centre, (centre - half, centre + half))


def t_half_width(values: Array) -> Array:
    """Returns half the width of the t interval of the mean over the first axis."""
    half: Array = stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1) * stats.sem(values, axis=0)
    return half


def percentile_interval(
    samples: Sequence[Array], statistic: Callable[..., Array]
) -> tuple[Array, Array]:
    """Returns the bounds [K] of a statistic by a stratified bootstrap.

    Args:
        samples: one array of runs each, resampled apart from the others.
        statistic: of arrays [..., runs], gives [K, ...].
    """
    interval = stats.bootstrap(
        tuple(samples),
        statistic,
        n_resamples=RESAMPLES,
        batch=RESAMPLES_AT_ONCE,
        vectorized=True,
        confidence_level=CONFIDENCE,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return interval.low, interval.high


def _share_of_wins(x: Array, y: Array) -> Array:
    """Returns the share of pairs (x_i, y_j), over the last axes, in which x_i is larger.

    It is the statistic of SciPy's mannwhitneyu over the number of pairs; that also tests, which
    takes ten times as long, for each of thousands of resamples.
    """
    x, y = x[..., :, None], y[..., None, :]
    wins: Array = ((x > y) + 0.5 * (x == y)).mean(axis=(-1, -2))
    return wins


def _with_bounds(
    samples: Sequence[Array], statistic: Callable[..., Array]
) -> tuple[Array, tuple[Array, Array] | None]:
    """Returns a statistic [K] of the samples, and its bounds [K] if every sample is large enough.

    The arguments are those of `percentile_interval`.
    """
    is_large = min(len(x) for x in samples) >= MIN_RUNS
    return statistic(*samples), percentile_interval(samples, statistic) if is_large else None


def _estimate(values: Array, bounds: tuple[Array, Array] | None, index: int) -> Estimate:
    interval = (float(bounds[0][index]), float(bounds[1][index])) if bounds else None
    return Estimate(float(values[index]), interval)
