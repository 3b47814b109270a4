"""The soak: what it says of a run, and that it can watch one."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from tools.soak import SoakConfig, soak
from tools.soak_report import draw, judge

SMOKE = Path(__file__).parents[1] / "configs" / "smoke.yaml"


def report(**samples):
    """Returns a report of an hour in which nothing grows, but for these samples."""
    rng = np.random.default_rng(0)
    flat = {
        "seconds": np.arange(720) * 5.0,
        "resident_mib": 500 + rng.normal(0, 1, 720),
        "threads": np.full(720, 9),
        "open_files": np.where(np.arange(720) % 12, 20, 21),  # one more in a checkpoint
        "lag_updates": np.full(720, 12.0),
        "checkpoints": np.full(720, 3),
        "frames": np.arange(720) * 1000,
    }
    return {
        "samples": {name: np.asarray(v).tolist() for name, v in (flat | samples).items()},
        "settings": {"max_policy_lag": 20, "keep_checkpoints": 3},
        "largest_lag_updates": 12.0,
        "exit_code": 0,
        "status": {"status": "stopped", "why": "max_seconds of 3600"},
        "evaluations": [{"exit_code": 0}],
    }


HOURS = np.arange(720) / 720
GROWING = {
    "memory_growth_mib_per_hour": report(resident_mib=500 + 12 * HOURS),
    "thread_growth": report(threads=9 + (HOURS > 0.7)),
    "open_file_growth": report(open_files=20 + np.floor(HOURS * 5)),
    "most_checkpoints": report(checkpoints=np.arange(720)),
    "largest_lag_updates": report() | {"largest_lag_updates": 21.0},
    "failed_evaluations": report() | {"evaluations": [{"exit_code": 2}]},
    "training_exit_code": report() | {"exit_code": 1},
    "evaluations": report() | {"evaluations": []},
    "ended_by_the_clock": report() | {"status": {"status": "failed", "why": "x"}},
}


def test_a_run_that_stays_as_it_began_passes():
    verdict = judge(report())
    assert verdict["passed"], verdict
    slope = verdict["memory_slope_mib_per_hour"]
    assert slope["low"] < 0 < slope["high"] < 1


@pytest.mark.parametrize("name", GROWING)
def test_what_grows_fails_and_is_named(name):
    verdict = judge(GROWING[name])
    assert not verdict["passed"]
    assert verdict["failed"] == [name]


def test_a_slope_is_per_hour_and_leaves_the_warm_up_out():
    rising = 500 + 6 * HOURS - 200 * (HOURS < 0.1)
    verdict = judge(report(resident_mib=rising))
    assert verdict["memory_slope_mib_per_hour"]["slope"] == pytest.approx(6.0)
    assert verdict["passed"]


def test_memory_that_is_not_a_number_fails():
    assert not judge(report(resident_mib=np.full(720, np.nan)))["passed"]


@pytest.mark.slow
def test_a_run_is_trained_watched_and_drawn(tmp_path):
    settings = yaml.safe_load(SMOKE.read_text()) | {"checkpoint_interval_seconds": 1.0}
    (tmp_path / "often.yaml").write_text(yaml.safe_dump(settings))
    config = SoakConfig(
        config=tmp_path / "often.yaml",
        seconds=30,
        sample_seconds=0.2,
        evaluate_seconds=0.1,
        episodes=2,
    )
    found = soak(config, tmp_path)
    assert found["exit_code"] == 0
    assert found["status"]["status"] == "stopped"
    assert found["settings"]["mode"] == "async"
    assert [evaluation["exit_code"] for evaluation in found["evaluations"]][:1] == [0]
    assert len(set(map(len, found["samples"].values()))) == 1
    assert found["largest_lag_updates"] <= found["settings"]["max_policy_lag"]
    draw(found, tmp_path / "soak.png")
    assert (tmp_path / "soak.png").stat().st_size > 10_000
