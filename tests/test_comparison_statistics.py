"""Statistics against cases worked by hand from the definitions of Agarwal et al. 2021."""

import numpy as np
import pytest
from scipy import stats

from comparison.statistics import (
    aggregates,
    mean_of_runs,
    performance_profile,
    probability_of_improvement,
)


def tasks(*scores):
    return [np.array(x, dtype=float) for x in scores]


def test_aggregates_of_two_tasks_by_hand():
    result = aggregates(tasks([0.0, 0.2, 0.4, 0.6], [0.8, 1.0, 1.6, 2.0]))
    # All eight in order: 0 .2 | .4 .6 .8 1 | 1.6 2; the middle half has mean 2.8 / 4.
    assert result["IQM"].value == pytest.approx(0.7)
    # Task means 0.3 and 1.35.
    assert result["median"].value == pytest.approx(0.825)
    assert result["mean"].value == pytest.approx(0.825)
    # Distances below 1: (1 + .8 + .6 + .4) / 4 = .7 and .2 / 4 = .05.
    assert result["optimality gap"].value == pytest.approx(0.375)


def test_the_median_is_over_tasks_and_not_over_runs():
    result = aggregates(tasks([0.0, 0.0, 0.9], [0.5, 0.5, 0.5], [1.0, 1.0, 1.0]))
    assert result["median"].value == pytest.approx(0.5)
    assert result["mean"].value == pytest.approx((0.3 + 0.5 + 1.0) / 3)


def test_iqm_drops_whole_quarters_of_all_runs():
    result = aggregates(tasks([-100.0, 0.0, 1.0, 2.0, 3.0, 100.0]))["IQM"]
    # A quarter of 6 runs is 1.5; one is dropped at each end (the floor, as in the reference).
    assert result.value == pytest.approx(1.5)


def test_probability_of_improvement_by_hand():
    x, y = tasks([1.0, 2.0], [0.0, 0.0]), tasks([1.0, 3.0], [0.0, -1.0])
    # Task 1: (1, 1) ties, (2, 1) wins: 1.5 of 4 pairs. Task 2: two ties, two wins: 3 of 4.
    assert probability_of_improvement(x, y).value == pytest.approx((0.375 + 0.75) / 2)
    assert probability_of_improvement(y, x).value == pytest.approx(1 - (0.375 + 0.75) / 2)


def test_probability_of_improvement_is_the_mann_whitney_statistic():
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 6, 7).astype(float), rng.integers(0, 6, 9).astype(float)
    expected = stats.mannwhitneyu(x, y).statistic / (7 * 9)
    assert probability_of_improvement([x], [y]).value == pytest.approx(expected)


def test_performance_profile_counts_runs_strictly_above():
    tau = np.array([-0.1, 0.0, 0.25, 0.3, 0.6, 1.0])
    profile = performance_profile(tasks([0.0, 0.5, 1.0, 1.0], [0.25, 0.25]), tau)
    expected = [1.0, (0.75 + 1) / 2, 0.75 / 2, 0.75 / 2, 0.5 / 2, 0.0]
    np.testing.assert_allclose(profile.share, expected)


def test_t_interval_by_hand():
    result = mean_of_runs(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    half = 2.7764451 * np.sqrt(2.5 / 5)  # t quantile of 0.975 at 4 degrees of freedom
    assert result.value == 3.0
    assert result.interval == pytest.approx((3 - half, 3 + half))
    assert mean_of_runs(np.full(5, 1.0)).interval == (1.0, 1.0)


def test_below_five_runs_of_any_task_there_is_no_interval():
    four, five = np.linspace(0, 1, 4), np.linspace(0, 1, 5)
    assert mean_of_runs(four).interval is None
    assert aggregates([five, four])["IQM"].interval is None
    assert aggregates([five, five])["IQM"].interval is not None
    assert probability_of_improvement([five], [four]).interval is None
    assert performance_profile([four], four).low is None


def test_bootstrap_resamples_runs_within_each_task():
    # Runs of a task are equal: resampling within tasks changes nothing, across tasks it would.
    result = aggregates(tasks([0.0] * 5, [1.0] * 5))
    assert result["mean"] == (0.5, (0.5, 0.5))
    assert result["optimality gap"] == (0.5, (0.5, 0.5))
    assert probability_of_improvement(tasks([0.0] * 5), tasks([1.0] * 5)) == (0.0, (0.0, 0.0))


def test_bootstrap_of_the_mean_agrees_with_the_normal_interval_at_many_runs():
    x = np.random.default_rng(1).normal(size=400)
    low, high = aggregates([x])["mean"].interval
    half = 1.96 * x.std() / 20
    # Monte Carlo error of a percentile at 5000 resamples, seen: 0.002 of 0.098.
    assert (low, high) == pytest.approx((x.mean() - half, x.mean() + half), abs=0.006)


def test_the_same_scores_give_the_same_interval():
    x = np.random.default_rng(2).normal(size=6)
    assert aggregates([x, x + 1]) == aggregates([x, x + 1])
    first, again = performance_profile([x], x), performance_profile([x], x)
    np.testing.assert_array_equal(first.low, again.low)
    assert (first.low <= first.share).all()
    assert (first.share <= first.high).all()
