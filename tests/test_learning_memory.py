"""Cores learn a short T-maze from scratch through `train` and `evaluate`; no memory, no luck."""

import pytest

from agents.evaluation.evaluate import EvaluationConfig, evaluate
from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import train
from envs.config import EnvConfig
from models.cores import CoreConfig
from models.encoders import EncoderConfig

pytestmark = [pytest.mark.learning, pytest.mark.usefixtures("one_thread")]


def success(kind, run_dir, total_frames):
    """Trains a core on a T-maze of 8 steps; returns its share of 500 new mazes solved."""
    config = TrainConfig(
        game="tmaze",
        env=EnvConfig(length=8),
        core=CoreConfig(kind=kind, num_layers=1, hidden_size=32, feedforward_size=64),
        encoder=EncoderConfig(kind="mlp"),
        learner=LearnerConfig(
            unroll_length=32,
            batch_size=64,
            num_passes=2,
            optimizer="adam",
            optimizer_epsilon=1e-5,
            learning_rate=3e-3,
            max_gradient_norm=1.0,
            discount=0.9,
            entropy_cost=0.03,
            reduction="mean",
            policy_loss="surrogate",
            vtrace_lambda=0.95,
        ),
        device="cpu",
        num_threads=1,
        run_dir=str(run_dir),
        total_frames=total_frames,
    )
    return evaluate(train(config), EvaluationConfig())["mean_return"]


@pytest.mark.parametrize("kind", [pytest.param("lstm", marks=pytest.mark.slow), "delta_net"])
def test_core_learns_to_remember(kind, tmp_path):
    assert success(kind, tmp_path / "run", 300_000) > 0.95


def test_feedforward_stays_at_chance(tmp_path):
    # Five standard errors of 500 fair coins
    assert abs(success("feedforward", tmp_path / "run", 20_000) - 0.5) < 0.11
