"""Runs of tasks with answers in a report: which way is better, what generalises, what is kept."""

import csv
import json

import pytest

from comparison.compare import compare_and_write
from comparison.read_runs import read_runs
from comparison.task_file import read_task_file, task_file_of
from experiment.files import write_json
from sequences.config import config_from_values
from sequences.evaluate import EvaluationConfig, evaluate
from sequences.results import save_result
from sequences.runs import train
from tests import run_folders
from tests.run_folders import write_evaluation
from tests.sequence_folders import evaluation, write_run
from tools.publish import publish


def write_seeds(root, core, values, **others):
    for seed, value in enumerate(values, 1):
        write_run(root / core / f"seed{seed}", value, core=core, seed=seed, **others)


def test_the_higher_accuracy_is_best_and_a_guess_is_the_floor(tmp_path):
    write_seeds(tmp_path / "runs", "lstm", [0.60, 0.61, 0.62, 0.63, 0.64])
    write_seeds(tmp_path / "runs", "rdn", [0.90, 0.91, 0.92, 0.93, 0.94])
    said = compare_and_write([tmp_path / "runs"], tmp_path / "report")
    assert "On listops, rdn is clearly best, at 0.920; next is lstm, at 0.620." in said
    values = json.loads((tmp_path / "report/comparison.json").read_text())
    assert values["tasks"]["listops"]["scale"] == {"floor": 0.18, "ceiling": 1.0}
    report = (tmp_path / "report/report.md").read_text()
    assert "| listops | (guessing) | 0.180 |" in report
    assert not {"game", "policy", "return", "frames"} & set(report.replace("/", " ").split())


def test_of_a_text_the_fewest_bits_are_best(tmp_path):
    write_seeds(tmp_path / "runs", "lstm", [2.0, 2.01, 2.02, 2.03, 2.04], task="text")
    write_seeds(tmp_path / "runs", "rdn", [1.8, 1.81, 1.82, 1.83, 1.84], task="text")
    said = compare_and_write([tmp_path / "runs"], tmp_path / "report")
    assert "On text, rdn is clearly best, at 1.820; next is lstm, at 2.020." in said
    (pair,) = json.loads((tmp_path / "report/comparison.json").read_text())["across_tasks"][
        "probability_of_improvement"
    ]
    assert (pair["of"], pair["over"], pair["value"]) == ("lstm", "rdn", 0.0)
    report = (tmp_path / "report/report.md").read_text()
    assert "**1.820**" in report
    figure = (tmp_path / "report/figures/scores-text.svg").read_text()
    assert "bits per byte, less is better" in figure


def test_at_chance_no_core_is_called_better(tmp_path):
    write_seeds(tmp_path / "runs", "lstm", [0.18] * 5)
    write_seeds(tmp_path / "runs", "rdn", [0.18, 0.2, 0.19, 0.17, 0.2])
    said = compare_and_write([tmp_path / "runs"], tmp_path / "report")
    assert "On listops, no core is clearly above guessing" in said


def test_other_depths_are_a_curve_through_the_depth_of_training(tmp_path):
    for core, deep in (("lstm", 0.3), ("rdn", 0.8)):
        run = write_run(tmp_path / "runs" / core, 0.9, core=core)
        write_evaluation(run, evaluation(deep, args={"depth": 15}), "deep")
        write_evaluation(run, evaluation(0.99, args={"depth": 5}), "shallow")
        write_evaluation(run, evaluation(0.5, args={"depth": 15}, updates=5), "of earlier weights")
        write_evaluation(run, evaluation(0.4, args={"depth": 15}, seed=3), "of another seed")
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    with (tmp_path / "report/figures/sizes.csv").open() as file:
        rows = list(csv.DictReader(file))
    points = [
        (r["setting"], float(r["size"]), float(r["measured"])) for r in rows if r["core"] == "rdn"
    ]
    assert points == [("depth", 5, 0.99), ("depth", 10, 0.9), ("depth", 15, 0.8)]
    assert "depth=15" in (tmp_path / "report/report.md").read_text()


def test_longer_strings_may_begin_where_training_ended(tmp_path):
    run = write_run(tmp_path / "run", 1.0, task="formal", args={"language": "parity"})
    longer = {"min_length": 51, "max_length": 100}
    write_evaluation(run, evaluation(0.25, task="formal", args=longer), "longer")
    compare_and_write([run], tmp_path / "report")
    with (tmp_path / "report/figures/sizes.csv").open() as file:
        assert [row["size"] for row in csv.DictReader(file)] == ["50.0", "100.0"]


def test_a_text_read_with_an_empty_state_stands_beside_the_score(tmp_path):
    run = write_run(tmp_path / "run", 1.8, task="text")
    write_evaluation(run, evaluation(2.2, task="text", context="reset", examples=7), "reset")
    (record,) = read_runs([run])
    assert record.score.value == 1.8
    assert [(e.variation, e.value) for e in record.others] == [("context=reset", 2.2)]


def test_languages_are_tasks_of_their_own(tmp_path):
    for language in ("parity", "dyck"):
        for core in ("lstm", "rdn"):
            args = {"language": "dyck_1" if language == "dyck" else language}
            write_run(tmp_path / "runs" / language / core, task="formal", core=core, args=args)
    compare_and_write([tmp_path / "runs"], tmp_path / "report")
    values = json.loads((tmp_path / "report/comparison.json").read_text())
    assert list(values["tasks"]) == ["formal language=dyck_1", "formal language=parity"]


def test_a_file_says_what_its_folders_said(tmp_path):
    write_seeds(tmp_path / "runs", "rdn", [0.9, 0.8])
    write_evaluation(tmp_path / "runs/rdn/seed1", evaluation(0.5, args={"depth": 15}), "deeper")
    folders = read_runs([tmp_path / "runs"])
    content = task_file_of(folders)
    assert content["settings"]["task.args.depth"] == 10
    first = content["runs"][0]
    assert (first["score"]["accuracy"], first["score"]["num_sequences"]) == (0.9, 1000)
    assert list(first["curve"]) == ["tokens", "seconds", "scores"]
    write_json(tmp_path / "listops.json", json.loads(json.dumps(content)))
    for ours, theirs in zip(read_task_file(tmp_path / "listops.json"), folders, strict=True):
        assert (ours.score, ours.others, ours.task) == (theirs.score, theirs.others, theirs.task)
        assert ours.metrics.end == theirs.metrics.end
        assert ours.metrics.scores.tolist() == pytest.approx(theirs.metrics.scores.tolist())


def test_agents_and_tasks_with_answers_are_not_one_comparison(tmp_path):
    write_run(tmp_path / "runs/a")
    run_folders.write_run(tmp_path / "runs/b")
    with pytest.raises(ValueError, match=r"of several: models of tasks .*; agents, such as"):
        compare_and_write([tmp_path / "runs"], tmp_path / "report")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"task": "text"}, "is of 'text', the run of listops"),
        ({"accuracy": None}, "accuracy must be a finite number"),
        ({"settings": []}, "settings must be an object"),
        ({"sequences": float("nan")}, "sequences must be a finite number"),
    ],
)
def test_a_broken_evaluation_is_named(tmp_path, change, message):
    run = write_run(tmp_path / "run")
    write_evaluation(run, evaluation(0.5) | change)
    with pytest.raises(ValueError, match=message):
        read_runs([run])


def test_a_trained_and_evaluated_run_is_compared_and_published(tmp_path):
    values = {
        "task": {"kind": "listops", "args": {"depth": 2}},
        "model": {"embedding_size": 8},
        "core": {"kind": "lstm", "hidden_size": 8},
        "batch": {"sequences": 4, "lanes": 2},
        "total_tokens": 100,
        "run_dir": str(tmp_path / "runs/lstm"),
    }
    run = train(config_from_values(values))
    with pytest.raises(
        ValueError, match=r"runs/lstm has no score of its last weights; run: run_seq"
    ):
        publish(tmp_path / "runs", tmp_path / "results")
    result = evaluate(run, EvaluationConfig())
    save_result(run / "evaluation", result)
    assert publish(tmp_path / "runs", tmp_path / "results") == [tmp_path / "results/listops.json"]
    assert publish(tmp_path / "runs", tmp_path / "results") == []
    (record,) = read_runs([tmp_path / "results"])
    assert record.score.value == result["accuracy"]
    assert record.metrics.end["tokens"] == result["tokens"]
    compare_and_write([tmp_path / "results"], tmp_path / "report")
