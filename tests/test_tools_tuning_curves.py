"""Curves of tuning runs, kept small."""

import json

import pytest

from tools import tuning_curves
from tools.pages.pong_tuning import tuning_block


def row(frames, entropy, games=()):
    return {
        "frames": frames,
        "wall_seconds": frames / 1000,
        "games": list(games),
        "loss/entropy": entropy,
        "loss/value": 0.25,
    }


def test_a_stretch_is_the_mean_of_its_rows_and_games(monkeypatch):
    monkeypatch.setattr(tuning_curves, "NUM_STRETCHES", 2)
    rows = [row(1000, 1.0), row(2000, 2.0), row(3000, 0.5, [[-21.0, 800]]), row(4000, 0.25)]
    rows[3]["games"] = [[-20.0, 900]]
    found = tuning_curves.curves(rows)
    assert found["frames"] == [2000, 4000]
    assert found["entropy"] == [1.5, 0.375]
    assert found["return"] == [None, -20.5]
    assert found["steps"] == [None, 850.0]
    assert found["explained_variance"] == [None, None]


def test_a_run_without_rows_has_no_curves():
    assert tuning_curves.curves([]) == {}


@pytest.mark.parametrize("path", sorted(tuning_curves.RESULTS.glob("*.json")), ids=lambda p: p.stem)
def test_every_kept_run_is_small_and_has_equal_columns(path):
    assert path.stat().st_size < 5000
    kept = json.loads(path.read_text())
    assert len({len(column) for column in kept["curves"].values()}) == 1
    assert kept["commit"]


def test_the_table_has_a_row_for_every_kept_run():
    names = {path.stem for path in tuning_curves.RESULTS.glob("*.json")}
    rows = tuning_block().splitlines()[2:]
    assert {line.split("]")[0].removeprefix("| [") for line in rows} == names
