"""Scores and films stand on the TensorBoard of their run, beside what training wrote."""

import shutil
from dataclasses import replace

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from agents.evaluation.evaluate import EvaluationConfig
from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import train
from envs import EnvConfig
from experiment.metrics import read_metrics
from models.cores import CoreConfig
from models.encoders import EncoderConfig
from tests.small_runs import evaluate_and_save
from watch.config import WatchConfig
from watch.film import watch

CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="rdn", hidden_size=8, num_heads=2, num_layers=1, feedforward_size=8),
    encoder=EncoderConfig(kind="mlp"),
    learner=LearnerConfig(unroll_length=5, batch_size=4),
    total_frames=60,
    log_interval_seconds=0,
    checkpoint_interval_seconds=0,
)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(replace(CONFIG, run_dir=str(tmp_path_factory.mktemp("board") / "run")))


def board(folder):
    return EventAccumulator(str(folder)).Reload()


def test_a_score_stands_over_the_frames_of_its_policy(run):
    scores = {}
    for path in sorted((run / "checkpoints").iterdir())[-2:]:
        _, result = evaluate_and_save(path, EvaluationConfig(episodes=3))
        scores[result["frames"]] = result["mean_return"]
    evaluate_and_save(run, EvaluationConfig(episodes=3, greedy=True, length=5))
    evaluate_and_save(run, EvaluationConfig(episodes=3, max_steps=2))
    shown = board(run / "tensorboard/evaluation")
    points = shown.Scalars("evaluation/sampled_mean_return_points")
    assert {p.step: p.value for p in points} == pytest.approx(scores)
    assert len(scores) == 2
    assert len(shown.Scalars("evaluation/greedy_length5_mean_return_points")) == 1
    assert len(shown.Scalars("evaluation/sampled_max_steps2_mean_return_points")) == 1
    frames = [point.step for point in board(run / "tensorboard").Scalars("loss/total")]
    assert frames == [row["frames"] for row in read_metrics(run / "metrics.jsonl")]


def test_a_film_is_shown_where_it_is_asked_for(run):
    watch(run, WatchConfig(episodes=1, max_steps=4))
    path = watch(run, WatchConfig(episodes=1, max_steps=4, board=True))
    assert path.suffix == ".gif"
    (image,) = board(run / "tensorboard/evaluation").Images("film")
    assert image.step == 60
    assert image.encoded_image_string == path.read_bytes()


def test_a_film_that_no_board_can_show_is_refused(run, tmp_path):
    with pytest.raises(ValueError, match=r"board shows a \.gif, got out .*film\.mp4"):
        WatchConfig(board=True, out=tmp_path / "film.mp4")
    bare = shutil.copytree(run, tmp_path / "bare", ignore=shutil.ignore_patterns("tensorboard"))
    with pytest.raises(ValueError, match=r"training left no TensorBoard with .*bare"):
        watch(bare, WatchConfig(board=True))
    _, result = evaluate_and_save(bare, EvaluationConfig(episodes=1))
    assert result["frames"] == 60
    assert not (bare / "tensorboard").exists()
