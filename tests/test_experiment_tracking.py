"""`track: wandb`: every row goes there, with the frames as x axis; a run that goes on is one run.

In place of wandb, which no lock has, stands a module of ours that writes down what it is told;
where wandb is installed, it runs itself, offline.
"""

import importlib.util
import signal
import sys
import types
from dataclasses import replace

import pytest

from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import resume, train
from envs import EnvConfig
from experiment.failure import RunFailed
from experiment.metrics import read_metrics, scalars
from experiment.run_dir import read_status
from experiment.session import SessionConfig
from experiment.stop_signals import interrupts
from models.cores import CoreConfig
from models.encoders import EncoderConfig

CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="feedforward", hidden_size=8, num_heads=2, num_layers=1),
    encoder=EncoderConfig(kind="mlp"),
    learner=LearnerConfig(unroll_length=5, batch_size=4),
    total_frames=120,
    log_interval_seconds=0,
    track="wandb",
)


class StandIn(types.ModuleType):
    """Of wandb, what is used of it; keeps what it is told, session by session."""

    class Error(Exception):
        pass

    def __init__(self):
        super().__init__("wandb")
        self.sessions = []

    def init(self, **told):
        self.sessions.append(told | {"rows": [], "metrics": [], "exit_code": None})
        return self

    def define_metric(self, name, step_metric):
        self.sessions[-1]["metrics"].append((name, step_metric))

    def log(self, row):
        self.sessions[-1]["rows"].append(row)

    def finish(self, exit_code):
        self.sessions[-1]["exit_code"] = exit_code


@pytest.fixture
def wandb(monkeypatch):
    module = StandIn()
    module.__spec__ = importlib.util.spec_from_loader("wandb", None)
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    return module


def test_every_row_is_told_and_a_run_that_goes_on_is_one_run(tmp_path, wandb):
    config = replace(CONFIG, run_dir=str(tmp_path / "run"))
    path = train(config, SessionConfig(stop_after_updates=2))
    resume(path)
    first, second = wandb.sessions
    assert first["id"] == second["id"]
    assert (first["project"], first["dir"], first["resume"]) == (
        "fast-weight-agents",
        path,
        "allow",
    )
    assert first["config"]["learner.batch_size"] == 4
    assert first["metrics"] == [("*", "frames")]
    assert (first["exit_code"], second["exit_code"]) == (0, 0)
    rows = [scalars(row) for row in read_metrics(path / "metrics.jsonl")]
    assert len(rows) > 4
    assert first["rows"] + second["rows"] == rows
    assert all("games" not in row and "loss/explained_variance" in row for row in rows)


def test_runs_of_one_second_in_other_folders_are_other_runs(tmp_path, wandb, monkeypatch):
    monkeypatch.setattr("experiment.tracking.read_json", lambda path: {"date": "then"})
    for name in ("a", "b"):
        train(replace(CONFIG, run_dir=str(tmp_path / name)))
    first, second = (session["id"] for session in wandb.sessions)
    assert first != second


def test_a_failed_run_is_marked_as_failed(tmp_path, wandb, monkeypatch):
    monkeypatch.setattr(wandb, "log", lambda row: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(replace(CONFIG, run_dir=str(tmp_path / "run")))
    assert wandb.sessions[0]["exit_code"] == 1


def test_a_signal_that_comes_while_the_service_is_left_is_the_same_request(
    tmp_path, wandb, monkeypatch
):
    """As a scheduler's second notice does, while what is left is sent."""
    monkeypatch.setattr(wandb, "finish", lambda exit_code: signal.raise_signal(signal.SIGTERM))
    with interrupts():  # as in the command line
        path = train(replace(CONFIG, run_dir=str(tmp_path / "run")))
    assert read_status(path)["status"] == "finished"


def test_a_service_that_refuses_is_told_in_one_line(tmp_path, wandb, monkeypatch):
    def refuse(**told):
        raise wandb.Error("No API key configured")

    monkeypatch.setattr(wandb, "init", refuse)
    with pytest.raises(RunFailed, match=r"No API key configured \(WANDB_MODE=offline needs"):
        train(replace(CONFIG, run_dir=str(tmp_path / "run")))


def test_without_the_library_nothing_begins(tmp_path, monkeypatch):
    monkeypatch.setattr("experiment.tracking.find_spec", lambda name: None)
    with pytest.raises(
        ValueError, match=r"track: wandb needs a library: pip install -e '\.\[wandb"
    ):
        train(replace(CONFIG, run_dir=str(tmp_path / "run")))
    assert not (tmp_path / "run").exists()


def test_numbers_that_are_not_finite_and_lists_are_not_drawn():
    row = {"frames": 3, "games": [[1.0, 2]], "a": float("nan"), "b": None, "c": 0.5}
    assert scalars(row) == {"frames": 3, "c": 0.5}


@pytest.mark.slow
def test_wandb_itself_writes_the_rows_offline(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="no wandb here: pip install -e '.[wandb]'")
    monkeypatch.setenv("WANDB_MODE", "offline")
    path = train(replace(CONFIG, run_dir=str(tmp_path / "run")))
    (file,) = path.glob("wandb/offline-run-*/*.wandb")
    content, rows = file.read_bytes(), read_metrics(path / "metrics.jsonl")
    assert content.count(b"loss/explained_variance") >= len(rows) > 4
    assert all(str(row["loss/total"])[:12].encode() in content for row in rows)
