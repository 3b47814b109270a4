"""Publishing a run: what is taken, and that nothing is overwritten."""

import json
import shutil
from dataclasses import replace

import pytest

from agents.evaluation.evaluate import EvaluationConfig, evaluate_and_save, result_path
from agents.evaluation.saved_policy import load_policy
from agents.impala.config import config_from_values
from agents.runs import train
from experiment.files import write_json
from tools import publish
from tools.publish import publish_all


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    config = config_from_values(
        {
            "game": "control",
            "encoder": {"kind": "mlp"},
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
    wanted = r"there is no .*/seed1/evaluation/0{11}2-gymnasium-sampled-500-0.json; run: "
    with pytest.raises(ValueError, match=wanted):
        publish_all(runs, tmp_path)
    assert not list(tmp_path.iterdir())


OTHERS = [{"episodes": 5}, {"seed": 1}, {"greedy": True}, {"length": 9}]


@pytest.mark.parametrize("settings", OTHERS, ids=str)
def test_an_evaluation_of_another_kind_is_not_what_is_published(runs, tmp_path, settings):
    other = result_path(runs / "control/seed1", "control", 2, EvaluationConfig(**settings))
    earlier = result_path(runs / "control/seed1", "control", 1, EvaluationConfig())
    other.parent.mkdir()
    for path in (other, earlier):
        write_json(path, {})
    try:
        with pytest.raises(ValueError, match="there is no"):
            publish_all(runs, tmp_path)
    finally:
        shutil.rmtree(other.parent)


def test_finished_runs_are_published_once(runs, tmp_path):
    for seed in (1, 2):
        for settings in ({}, *OTHERS):
            evaluate_and_save(runs / f"control/seed{seed}", EvaluationConfig(**settings))
    first, second = publish_all(runs, tmp_path, with_policies=True)
    kept = {"config.yaml", "provenance.json", "metrics.jsonl", "evaluation.json"}
    kept |= {"evaluation-length9.json", "evaluation-greedy.json"}
    assert {f.name for f in first.iterdir()} == kept | {"policy.safetensors"}
    assert {f.name for f in second.iterdir()} == kept
    published = json.loads((first / "evaluation.json").read_text())
    assert (len(published["episodes"]), published["settings"]["seed"]) == (500, 0)
    assert not published["settings"]["greedy"]
    assert json.loads((first / "evaluation-greedy.json").read_text())["settings"]["greedy"]
    assert load_policy(first / "policy.safetensors").updates == 2
    assert publish_all(runs, tmp_path) == []


def test_a_run_is_published_whole_or_not_at_all(runs, tmp_path, monkeypatch):
    for seed in (1, 2):
        evaluate_and_save(runs / f"control/seed{seed}", EvaluationConfig())
    monkeypatch.setattr(publish, "MAX_POLICY_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10"):
        publish.publish_all(runs, tmp_path, with_policies=True)
    assert not list((tmp_path / "control").iterdir())
    monkeypatch.undo()
    assert len(publish.publish_all(runs, tmp_path, with_policies=True)) == 2


def test_a_run_under_way_is_left_out(runs, tmp_path):
    status = runs / "control/seed1/status.json"
    before = status.read_text()
    status.write_text(json.dumps(json.loads(before) | {"status": "running"}))
    try:
        assert [f.name for f in publish_all(runs, tmp_path)] == ["seed2"]
    finally:
        status.write_text(before)
