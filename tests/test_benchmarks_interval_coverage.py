"""The benchmark of intervals: what it counts as holding the truth."""

import numpy as np
import pytest

from benchmarks.interval_coverage import (
    HEADER,
    SEEDS,
    Settings,
    cells,
    measure,
    percentile_coverage,
    t_coverage,
)


def test_a_t_interval_of_normal_scores_holds_the_truth_as_often_as_it_says():
    scores = np.random.default_rng(0).normal(size=(20_000, 5))
    assert t_coverage(scores, 0.0) == pytest.approx(0.95, abs=0.006)  # 4 standard errors
    assert t_coverage(scores, 10.0) < 0.01


def test_seeds_that_agree_have_an_interval_without_width():
    assert t_coverage(np.array([[1.0] * 5, [0.0, 1.0, 1.0, 1.0, 1.0]]), 0.8) == 0.5
    assert percentile_coverage(np.ones((2, 3, 5)), 1.0) == {"mean": 1.0, "IQM": 1.0}
    assert percentile_coverage(np.ones((2, 3, 5)), 0.9) == {"mean": 0.0, "IQM": 0.0}


def test_percentiles_are_counted_by_statistic():
    scores = np.array([[[-9.0, 0.0, 1.0, 1.0, 1.0]]])
    # Bounds below: the mean's is -5.2, that of the IQM, one trimmed at either end, -6.
    assert percentile_coverage(scores, -5.6) == {"mean": 0.0, "IQM": 1.0}


def test_every_number_of_seeds_has_a_row_as_wide_as_the_header():
    rows = measure(Settings(repetitions=2))
    assert [row["seeds"] for row in rows] == list(SEEDS)
    assert all(len(cells(row)) == len(HEADER) for row in rows)
    assert cells(rows[0])[0] == "3"


def test_no_repetitions_are_refused():
    with pytest.raises(ValueError, match="repetitions must be >= 1, got 0"):
        Settings(repetitions=0)
