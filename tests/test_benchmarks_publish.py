"""Publishing a run: what is taken, and that nothing is overwritten."""

import json
from dataclasses import replace

import pytest

from agents.evaluation.evaluate import EvaluationConfig, evaluate_and_save
from agents.evaluation.saved_policy import load_policy
from agents.experiment.config_values import config_from_values
from agents.impala.train import train
from benchmarks.publish import publish_all


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = config_from_values(
        {
            "game": "control",
            "encoder": "mlp",
            "core": {"kind": "feedforward"},
            "learner": {"unroll_length": 4, "batch_size": 2},
            "total_frames": 16,
        }
    )
    for seed in (1, 2):
        run = str(folder / "control" / f"seed{seed}")
        train(replace(config, seed=seed, run_dir=run))
    return folder


def test_a_run_without_evaluation_is_refused(runs, tmp_path):
    with pytest.raises(ValueError, match="has no sampled evaluation"):
        publish_all(runs, tmp_path)
    assert not list(tmp_path.iterdir())


def test_finished_runs_are_published_once(runs, tmp_path):
    for seed in (1, 2):
        evaluate_and_save(runs / f"control/seed{seed}", EvaluationConfig(episodes=5))
    first, second = publish_all(runs, tmp_path, with_policies=True)
    kept = {"config.yaml", "provenance.json", "metrics.jsonl", "evaluation.json"}
    assert {f.name for f in first.iterdir()} == kept | {"policy.pt"}
    assert {f.name for f in second.iterdir()} == kept
    assert len(json.loads((first / "evaluation.json").read_text())["episodes"]) == 5
    assert load_policy(first / "policy.pt").updates == 2
    assert publish_all(runs, tmp_path) == []


def test_a_run_under_way_is_left_out(runs, tmp_path):
    status = runs / "control/seed1/status.json"
    before = status.read_text()
    status.write_text(json.dumps(json.loads(before) | {"status": "running"}))
    try:
        assert [f.name for f in publish_all(runs, tmp_path)] == ["seed2"]
    finally:
        status.write_text(before)
