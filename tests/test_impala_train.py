"""A training run in its folder: milestones, resumption, and the ends of a session."""

import dataclasses
import json

import pytest
import torch

from agents.experiment.checkpoint import load_newest
from agents.experiment.metrics import read_metrics
from agents.experiment.session import SessionConfig
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.train import resume, train
from envs import EnvConfig
from models.cores import CoreConfig

FRAMES = 20  # of one rollout
CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="feedforward", hidden_size=8, num_heads=2, num_layers=1),
    encoder="mlp",
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
    expected = [f"{frames // FRAMES}.milestone.ckpt" for frames in (60, 100, 160, 200)]
    assert names == sorted([*expected, "12.ckpt"])


def test_a_run_killed_before_its_first_checkpoint_begins_anew(tmp_path, caplog):
    whole, killed = (train(config(tmp_path / name)) for name in ("whole", "killed"))
    for path in (killed / "checkpoints").iterdir():
        path.unlink()
    resume(killed)
    assert f"{killed} has no checkpoint yet: it begins anew" in caplog.text
    for name, value in weights(whole).items():
        assert torch.equal(value, weights(killed)[name]), name
    rows = read_metrics(killed / "metrics.jsonl")
    assert [row["frames"] for row in rows] == [FRAMES * n for n in range(1, 13)]


def test_the_clock_ends_a_session_with_a_checkpoint(tmp_path):
    run = train(config(tmp_path / "run"), SessionConfig(max_seconds=0.0))
    assert status(run) == {"status": "stopped", "why": "max_seconds of 0"}
    resume(run)
    assert status(run)["status"] == "finished"


@pytest.mark.parametrize("interval", [0, -5])
def test_an_interval_that_cannot_be_is_refused(interval):
    with pytest.raises(ValueError, match="milestone_interval_frames must be >= 1"):
        dataclasses.replace(CONFIG, milestone_interval_frames=interval)
