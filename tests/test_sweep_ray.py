"""Sweeps on a local Ray that the test starts: runs end, a dead worker's run goes on, and stops."""

import json
import os
import signal
from pathlib import Path

import pytest

from experiment.run_dir import read_status
from experiment.stop_signals import StopRequest
from sweep.plan import SweepConfig, plan_runs

ray = pytest.importorskip("ray", reason="the extra `ray` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMOKE = Path(__file__).parents[1] / "configs/smoke.yaml"


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A Ray of two CPUs on this machine, which sends nothing anywhere.

    It begins with SIGINT ignored, as in the background of a script, and so do its workers.
    """
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_worker_niceness", "0")  # else workers starve where other work goes on
        ray.init(
            address="local",
            num_cpus=2,
            include_dashboard=False,
            log_to_driver=False,
            object_store_memory=100 * 2**20,
        )
        signal.signal(signal.SIGINT, before)
        yield
        ray.shutdown()


def plans(tmp_path, total_frames, **settings):
    given = {
        "config": SMOKE,
        "cores": "lstm",
        "seeds": 1,
        "out": tmp_path / "out",
        "set": [f"total_frames={total_frames}", "num_threads=1", "checkpoint_interval_seconds=0"],
    }
    return plan_runs(SweepConfig(**given | settings))


def ended_runs(plans, stop, watch):
    """Returns how runs ended; `watch` is called between the events."""
    from sweep.on_ray import run_on_ray

    ended = {}
    for event in run_on_ray(plans, stop):
        ended |= [event] if event else []
        watch()
    return ended


def process_of(run):
    """Returns the process that trains a run, or None."""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = path.read_bytes().decode().split("\0")
        except OSError:  # it has ended
            continue
        if "train" in words and any(word.endswith(f"={run.path}") for word in words):
            return int(path.parent.name)
    return None


def parent_of(process):
    return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_run_whose_worker_is_killed_goes_on_and_a_failure_is_told(tmp_path):
    killed, bad = runs = plans(tmp_path, 20_000, seeds=2)
    bad.path.mkdir(parents=True)
    (bad.path / "notes.txt").write_text("mine")
    workers = []

    def kill_once():
        if not workers and (killed.path / "status.json").exists():  # its first session is recorded
            workers.append(parent_of(process_of(killed)))
            os.kill(workers[0], signal.SIGKILL)

    ended = ended_runs(runs, StopRequest(), kill_once)
    assert workers
    assert ended[killed].kind == "finished"
    (resumed,) = json.loads((killed.path / "provenance.json").read_text())["resumed"]
    assert resumed["frames"] < 20_000  # its first process did not outlive its worker
    (result,) = (killed.path / "evaluation").glob("*.json")
    assert json.loads(result.read_text())["frames"] >= 20_000
    assert ended[bad].kind == "failed"
    assert "exists already" in ended[bad].cause
    again = ended_runs([killed], StopRequest(), lambda: None)
    assert again[killed].kind == "skipped"


def test_a_relative_out_lies_where_the_sweep_is_begun_not_where_the_cluster_was(
    tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (run,) = runs = plans(Path(), 2_000)
    assert not run.path.is_absolute()
    assert ended_runs(runs, StopRequest(), lambda: None)[run].kind == "finished"
    assert len(list((tmp_path / run.path / "evaluation").glob("*.json"))) == 1


def test_a_stop_ends_runs_in_progress_with_a_checkpoint_and_drops_the_others(tmp_path):
    runs = plans(tmp_path, 10**9, seeds=3)
    stop = StopRequest()

    def stop_when_two_train():
        training = [run for run in runs if (run.path / "status.json").exists()]
        if len(training) == 2:
            stop.signal_name = "SIGTERM"

    ended = ended_runs(runs, stop, stop_when_two_train)
    assert [outcome.kind for outcome in ended.values()] == ["stopped"] * 3
    begun = [run for run in runs if run.path.exists()]
    assert len(begun) == 2
    assert all(read_status(run.path)["status"] == "stopped" for run in begun)
