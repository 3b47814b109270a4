"""Which runs are seeds of one thing: those of equal settings, by name, and no others."""

from dataclasses import replace

import pytest

from comparison.grouping import group
from comparison.read_runs import find_runs
from comparison.run_folder import read_run_folder
from models.cores import CoreConfig
from tests.run_folders import write_run


@pytest.fixture
def of_args(tmp_path):
    """Returns what makes a run of a core from elsewhere, whose args are not known here."""
    record = read_run_folder(write_run(tmp_path / "run"))

    def run(seed, **args):
        core = CoreConfig(kind="my.py:M", args=args)
        return replace(
            record, name=f"run {seed}", config=replace(record.config, core=core, seed=seed)
        )

    return run


def seeds_by_core(*runs):
    (task,) = group(runs)
    return {core: [run.config.seed for run in of_core] for core, of_core in task.runs.items()}


def test_what_is_null_may_also_be_left_out(of_args):
    runs = of_args(1, size=64), of_args(2, size=64), of_args(3, size=64, dropout=None)
    assert seeds_by_core(*runs) == {"my.py:M": [1, 2, 3]}


def test_the_order_of_settings_says_nothing(of_args):
    assert seeds_by_core(of_args(1, a=1, b=2), of_args(2, b=2, a=1)) == {"my.py:M": [1, 2]}


def test_equal_values_of_other_settings_are_another_core(of_args):
    assert seeds_by_core(of_args(1, size=64), of_args(2, window=64)) == {
        "my.py:M size=64 window=None": [1],
        "my.py:M size=None window=64": [2],
    }
    assert seeds_by_core(of_args(1, a=1, b=2), of_args(2, b=1, a=2)) == {
        "my.py:M a=1 b=2": [1],
        "my.py:M a=2 b=1": [2],
    }


def test_settings_that_read_the_same_are_told(of_args):
    with pytest.raises(ValueError, match="run 1 and run 2 differ in settings that read the same"):
        group([of_args(1, size=1), of_args(2, size="1")])


def test_trials_are_no_runs_of_a_comparison(tmp_path):
    kept = write_run(tmp_path / "table/tmaze/rdn/seed1")
    tried = write_run(tmp_path / "table/tmaze-tuning/tmaze/rdn-x/seed1001", seed=1001)
    assert find_runs([tmp_path / "table"]) == [kept]
    assert find_runs([tmp_path / "table/tmaze-tuning"]) == [tried]
