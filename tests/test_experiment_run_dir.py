"""Run folders, metrics files and stop signals."""

import json
import os
import signal

import pytest

from agents.experiment.metrics import MetricsWriter, read_metrics
from agents.experiment.provenance import provenance, source_hash
from agents.experiment.run_dir import RunDir, read_config
from agents.experiment.seeding import derive_seed
from agents.experiment.stop_signals import stop_signals


def test_a_new_run_records_its_settings_and_origin(tmp_path):
    run = RunDir.create(tmp_path / "run", {"game": "tmaze"})
    run.set_status("running")
    assert read_config(run.path) == {"game": "tmaze"}
    assert json.loads((run.path / "status.json").read_text())["status"] == "running"
    origin = json.loads((run.path / "provenance.json").read_text())
    assert origin["source_hash"] == source_hash()
    assert not any(key.isupper() for key in origin)


def test_a_used_folder_is_refused_and_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="exists already; continue it with --resume"):
        RunDir.create(tmp_path, {})
    assert [p.name for p in tmp_path.iterdir()] == ["notes.txt"]


def test_two_processes_cannot_train_in_one_folder(tmp_path):
    run = RunDir.create(tmp_path / "run", {})
    with pytest.raises(ValueError, match="is being trained by another process"):
        RunDir(run.path)
    run.close()
    RunDir(run.path).close()


@pytest.mark.parametrize("content", [None, "- a\n- b\n", "a: [", "text"])
def test_a_folder_without_settings_is_no_run(tmp_path, content):
    if content is not None:
        (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(ValueError, match=r"config\.yaml"):
        read_config(tmp_path)


def test_resumed_metrics_lose_what_lies_beyond_the_checkpoint(tmp_path):
    writer = MetricsWriter(tmp_path, frames=0)
    for frames in (100, 200, 300):
        writer.write({"frames": frames, "loss/total": 1.0})
    writer.close()
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"frames": 400, "lo')  # a row that a crash cut
    writer = MetricsWriter(tmp_path, frames=200)
    writer.write({"frames": 250, "loss/total": 2.0})
    writer.close()
    rows = read_metrics(tmp_path / "metrics.jsonl")
    assert [row["frames"] for row in rows] == [100, 200, 250]


def test_a_first_signal_asks_and_a_second_one_kills():
    with stop_signals() as stop:
        assert stop.signal_name is None
        os.kill(os.getpid(), signal.SIGTERM)
        assert stop.signal_name == "SIGTERM"
        assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    assert callable(signal.getsignal(signal.SIGINT))


def test_seeds_are_stable_and_apart():
    assert derive_seed(1, "env", 0) == derive_seed(1, "env", 0)
    names = ("env", "policy")
    seeds = {derive_seed(r, name, i) for r in range(5) for name in names for i in range(5)}
    assert len(seeds) == 50
    assert derive_seed(1, "env", 0) == 553133800  # the same on every machine and version


def test_provenance_names_commit_versions_and_machine():
    origin = provenance()
    assert {"commit", "dirty", "source_hash", "versions", "hardware", "command"} <= origin.keys()
    assert origin["versions"]["torch"]
