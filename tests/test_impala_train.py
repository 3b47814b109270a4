"""A training run in its folder: milestones, resumption, and the ends of a session."""

import dataclasses
import json
import threading

import pytest
import torch
import yaml

from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.trainer import Trainer
from agents.runs import resume, train
from envs import EnvConfig
from experiment import run_dir
from experiment.checkpoint import load_newest
from experiment.failure import RunFailed
from experiment.metrics import read_metrics
from experiment.report import RunningReport
from experiment.session import SessionConfig
from experiment.training_command import begun_folder
from models.cores import CoreConfig
from models.encoders import EncoderConfig

FRAMES = 20  # of one rollout
CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="feedforward", hidden_size=8, num_heads=2, num_layers=1),
    encoder=EncoderConfig(kind="mlp"),
    learner=LearnerConfig(unroll_length=5, batch_size=4),
    total_frames=12 * FRAMES,
    log_interval_seconds=0,
    checkpoint_interval_seconds=0,
)


def config(folder, **settings):
    return dataclasses.replace(CONFIG, run_dir=str(folder), **settings)


def status(folder):
    return json.loads((folder / "status.json").read_text())


def weights(folder):
    return load_newest(folder / "checkpoints")["policy"]


def test_milestones_outlive_the_newest(tmp_path):
    run = train(config(tmp_path / "run", milestone_interval_frames=50, keep_checkpoints=1))
    names = sorted(p.name.lstrip("0") for p in (run / "checkpoints").iterdir())
    # 240 frames in rollouts of 20: 60 is the first count at or over 50, 100 at or over 100, ...
    expected = [f"{frames // FRAMES}.milestone.safetensors" for frames in (60, 100, 160, 200)]
    assert names == sorted([*expected, "12.safetensors"])


def test_a_folder_that_holds_a_run_is_found_to_go_on_with(tmp_path, caplog):
    settings = config(tmp_path / "run")
    assert begun_folder(settings) is None
    run = train(settings, SessionConfig(stop_after_updates=2))
    assert begun_folder(settings) == run
    assert "run holds a run: it goes on with the settings in its config" in caplog.text
    assert begun_folder(dataclasses.replace(settings, run_dir=None)) is None


def test_resuming_a_finished_run_says_so_and_changes_nothing(tmp_path, caplog):
    run = train(config(tmp_path / "run"))
    assert not caplog.messages
    learned = weights(run)
    resume(run)
    assert caplog.messages == [f"{run} has its 240 frames already: nothing is left to do"]
    torch.testing.assert_close(weights(run), learned, rtol=0, atol=0)
    assert status(run)["status"] == "finished"


def test_an_end_that_is_a_milestone_is_kept_once(tmp_path):
    run = train(config(tmp_path / "run", milestone_interval_frames=120))
    resume(run)
    names = sorted(p.name.lstrip("0") for p in (run / "checkpoints").iterdir())
    kept = ["10", "11", "12.milestone", "6.milestone", "9"]
    assert names == [f"{name}.safetensors" for name in kept]


def test_a_session_that_ends_before_its_first_rollout_makes_no_milestone(tmp_path):
    settings = config(tmp_path / "run", milestone_interval_frames=120)
    run = train(settings, SessionConfig(stop_after_updates=0))
    assert [p.name for p in (run / "checkpoints").iterdir()] == ["000000000000.safetensors"]


def test_a_run_of_before_a_field_was_added_goes_on_more_than_once(tmp_path):
    run = train(config(tmp_path / "run"), SessionConfig(stop_after_updates=0))
    file = run / "config.yaml"
    settings = yaml.safe_load(file.read_text())
    del settings["env"]["life_loss"], settings["core"]["kernel"]
    file.write_text(yaml.safe_dump(settings))
    resume(run, SessionConfig(stop_after_updates=1))
    resume(run)
    assert status(run)["status"] == "finished"


@pytest.mark.parametrize("kernel", ["auto", "reference"])
def test_a_run_records_what_auto_came_to_and_keeps_what_was_asked_for(tmp_path, kernel):
    core = dataclasses.replace(CONFIG.core, kind="delta_net", hidden_size=4, kernel=kernel)
    run = train(config(tmp_path / "run", core=core), SessionConfig(stop_after_updates=0))
    asked = yaml.safe_load((run / "config.yaml").read_text())
    assert (asked["device"], asked["encoder"]["precision"]) == ("auto", "auto")
    assert asked["core"]["kernel"] == kernel
    used = json.loads((run / "provenance.json").read_text())["arithmetic"]
    device = "cuda" if torch.cuda.is_available() else "cpu"
    expected = {"device": device, "encoder_precision": "float32", "core_kernel": "reference"}
    assert used == expected


def test_a_kernel_that_cannot_run_is_refused_before_the_folder_is_made(tmp_path):
    core = dataclasses.replace(CONFIG.core, kind="delta_net", kernel="triton")
    with pytest.raises(ValueError, match="triton"):
        train(config(tmp_path / "run", core=core, device="cpu"))
    assert not (tmp_path / "run").exists()


def test_the_actors_have_stopped_when_a_failed_runs_environments_are_closed(tmp_path, monkeypatch):
    alive = []

    def close(trainer):
        alive.extend(t.name for t in threading.enumerate() if t.name.startswith("actor-"))

    def fail(*_):
        raise OSError("no metrics")

    monkeypatch.setattr(Trainer, "close", close)
    monkeypatch.setattr(RunningReport, "add", fail)
    with pytest.raises(RunFailed, match="no metrics"):
        train(config(tmp_path / "run", mode="async", total_frames=10**6))
    assert not alive


def test_the_clock_of_a_resumed_run_leaves_out_its_loading(tmp_path, monkeypatch):
    run = train(config(tmp_path / "run"), SessionConfig(stop_after_updates=0))
    made = []
    report = lambda *args: made.append("report") or RunningReport(*args)  # noqa: E731
    monkeypatch.setattr("experiment.resume.RunningReport", report)
    restore = Trainer.load_state_dict
    monkeypatch.setattr(
        Trainer, "load_state_dict", lambda *args: made.append("trainer") or restore(*args)
    )
    resume(run)
    assert made == ["trainer", "report"]


class Killed(BaseException):
    """Stands for SIGKILL: nothing in a run catches it to save."""


def kill(*_, **__):
    raise Killed


def test_a_run_killed_before_its_first_rollout_goes_on_from_its_beginning(tmp_path, monkeypatch):
    whole = train(config(tmp_path / "whole"))
    killed = tmp_path / "killed"
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "rows", kill)
        with pytest.raises(Killed):
            train(config(killed))
    assert [p.name for p in (killed / "checkpoints").iterdir()] == ["000000000000.safetensors"]
    resume(killed)
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(killed)[name]), name
    rows = read_metrics(killed / "metrics.jsonl")
    assert [row["frames"] for row in rows] == [FRAMES * n for n in range(1, 13)]


@pytest.mark.parametrize("written", ["save_numbered", "write_atomically"])
def test_a_run_killed_while_its_folder_is_made_can_be_begun_again(tmp_path, monkeypatch, written):
    with monkeypatch.context() as patch:
        patch.setattr(run_dir, written, kill)
        with pytest.raises(Killed):
            train(config(tmp_path / "run"))
    assert not (tmp_path / "run/config.yaml").exists()
    train(config(tmp_path / "run"))
    assert status(tmp_path / "run")["status"] == "finished"


def test_a_session_that_learns_nothing_saves_nothing(tmp_path):
    run = train(config(tmp_path / "run"), SessionConfig(stop_after_updates=3))
    before = {path: path.stat().st_mtime_ns for path in (run / "checkpoints").iterdir()}
    resume(run, SessionConfig(max_seconds=0.0))
    assert {path: path.stat().st_mtime_ns for path in (run / "checkpoints").iterdir()} == before


def test_the_clock_ends_a_session_with_a_checkpoint(tmp_path):
    run = train(config(tmp_path / "run"), SessionConfig(max_seconds=0.0))
    assert status(run) == {"status": "stopped", "why": "max_seconds of 0"}
    resume(run)
    assert status(run)["status"] == "finished"


@pytest.mark.parametrize("interval", [0, -5])
def test_an_interval_that_cannot_be_is_refused(interval):
    with pytest.raises(ValueError, match="milestone_interval_frames must be >= 1"):
        dataclasses.replace(CONFIG, milestone_interval_frames=interval)
