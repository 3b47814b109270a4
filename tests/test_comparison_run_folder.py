"""Run folders as others leave them: what is read, what is refused, and that nothing is trusted."""

import json
import os
import shutil

import numpy as np
import pytest

from agents.impala.shown import RETURN_TAG
from comparison.agent_runs import AGENTS, BEST_TAG
from comparison.read_runs import find_runs
from comparison.run_folder import MAX_CURVE_POINTS, read_run_folder, thinned_metrics
from tests.run_folders import evaluation, metrics, write_evaluation, write_run


def test_run_folders_are_found_at_any_depth_and_each_once(tmp_path):
    deep = write_run(tmp_path / "tmaze/rdn/seed1")
    (deep / "checkpoints/config.yaml").parent.mkdir()
    (deep / "checkpoints/config.yaml").write_text("of no run")
    other = write_run(tmp_path / "other", seed=2)
    found = find_runs([tmp_path, deep, tmp_path / "tmaze"])
    assert found == sorted([deep, other])


def test_a_folder_without_runs_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"no run in .*: a run is a folder with a config"):
        find_runs([tmp_path])
    with pytest.raises(ValueError, match="absent is no folder, and no file of runs"):
        find_runs([tmp_path / "absent"])


def test_the_score_is_the_newest_evaluation_of_the_usual_kind(tmp_path):
    run = write_run(tmp_path / "run", 0.6)
    write_evaluation(run, evaluation([0.7, 0.9] * 250, updates=20), "newer")
    write_evaluation(run, evaluation([0.1] * 500, updates=20, greedy=True), "greedy")
    write_evaluation(run, evaluation([0.2] * 30, updates=20), "few")
    write_evaluation(run, evaluation([0.3] * 500, updates=20, length=40), "long")
    write_evaluation(run, evaluation([0.7] * 500, updates=15, length=20), "as trained")
    record = read_run_folder(run)
    assert record.score.value == pytest.approx(0.8)
    assert record.score.updates == 20
    assert {e.variation: e.value for e in record.others} == pytest.approx(
        {"greedy=True": 0.1, "episodes=30": 0.2, "length=40": 0.3}
    )


@pytest.mark.parametrize("updates", [10, 30])
def test_other_evaluations_are_of_the_checkpoint_that_the_score_is_of(tmp_path, updates):
    run = write_run(tmp_path / "run", 0.6)
    write_evaluation(run, evaluation([0.8] * 500, updates=20), "newer")
    write_evaluation(run, evaluation([0.1] * 500, updates=updates, greedy=True), "elsewhere")
    assert read_run_folder(run).others == ()
    write_evaluation(run, evaluation([0.9] * 500, updates=20, greedy=True), "greedy")
    (other,) = read_run_folder(run).others
    assert (other.updates, other.value) == (20, pytest.approx(0.9))


def test_without_a_score_other_evaluations_have_nothing_to_stand_beside(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "evaluation/first.json").unlink()
    write_evaluation(run, evaluation([0.5] * 500, greedy=True), "greedy")
    record = read_run_folder(run)
    assert (record.score, record.others) == (None, ())


def test_of_one_checkpoints_evaluations_the_last_one_made_counts(tmp_path):
    run = write_run(tmp_path / "run")
    for day, (name, value) in enumerate({"0": 0.1, "0-2": 0.2, "0-3": 0.3}.items(), 1):
        made = {"provenance": {"date": f"2999-01-0{day}T00:00:00+00:00"}}
        write_evaluation(run, evaluation([value] * 500) | made, name)
    assert read_run_folder(run).score.value == pytest.approx(0.3)


def test_a_published_run_is_read_too(tmp_path):
    run = write_run(tmp_path / "run", 0.6)
    shutil.move(run / "evaluation/first.json", run / "evaluation.json")
    (run / "status.json").unlink()
    record = read_run_folder(run)
    assert record.score.value == pytest.approx(0.6)
    assert record.status == ""
    assert record.score.size["state_bytes"] == 512


def test_whole_lines_of_cut_metrics_count(tmp_path):
    run = write_run(tmp_path / "run")
    path = run / "metrics.jsonl"
    assert not read_run_folder(run).metrics.is_cut
    path.write_text(path.read_text()[:-20])
    record = read_run_folder(run)
    assert record.metrics.is_cut
    assert record.metrics.done.tolist() == [250, 500, 750]
    assert record.metrics.end["frames"] == 750


def test_a_long_curve_is_thinned_evenly_and_keeps_its_end(tmp_path):
    rows = metrics(1.0, frames=range(1, 10 * MAX_CURVE_POINTS + 1))
    path = tmp_path / "metrics.jsonl"
    rows[4001] |= {RETURN_TAG: 7.5}  # between the rows that are kept
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    curve = thinned_metrics(path, AGENTS)
    assert curve.end[BEST_TAG] == 7.5 > curve.scores.max()
    assert MAX_CURVE_POINTS <= len(curve.done) < 2 * MAX_CURVE_POINTS
    assert len(set(np.diff(curve.done))) == 1
    assert curve.end["frames"] == 10 * MAX_CURVE_POINTS


def test_a_mean_of_fewer_games_than_it_says_is_not_the_best(tmp_path):
    values = (9.0, 1.0, 2.0)
    rows = [
        row | {RETURN_TAG: value, "games": [[value, 5]] * 60}
        for row, value in zip(metrics(1.0)[:3], values, strict=True)
    ]
    path = tmp_path / "metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert thinned_metrics(path, AGENTS).end[BEST_TAG] == 2.0
    path.write_text(json.dumps(rows[0]) + "\n")
    assert BEST_TAG not in thinned_metrics(path, AGENTS).end


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "1", True, 10**400])
def test_a_return_that_is_no_number_is_refused(tmp_path, value):
    run = write_run(tmp_path / "run")
    write_evaluation(run, evaluation([0.5] * 499 + [value]))
    with pytest.raises(ValueError, match=r"first.json: return must be a finite number, got"):
        read_run_folder(run)


def test_a_curve_that_is_not_finite_is_refused(tmp_path):
    run = write_run(tmp_path / "run")
    row = metrics(1.0)[0] | {RETURN_TAG: float("nan")}
    (run / "metrics.jsonl").write_text(json.dumps(row) + "\n")
    with pytest.raises(ValueError, match=r"metrics.jsonl: return/.* must be a finite number"):
        read_run_folder(run)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("config.yaml", "a: &a [1]\nb: *a\n", "repeats values by alias"),
        ("config.yaml", "[" * 50_000, "nested too deep"),
        ("config.yaml", "- " * 30_000, "not YAML"),
        ("config.yaml", "x" * 70_000, "larger than 65,536 bytes"),
        ("config.yaml", "game: !!python/object/apply:os.getcwd []", "not YAML"),
        ("config.yaml", "game: ../../etc\n", "unknown game"),
        ("evaluation/first.json", "[" * 100_000, "not JSON"),
        ("evaluation/first.json", "[]", "must hold a JSON object"),
        ("evaluation/first.json", '{"game": "tmaze"}', "first.json: episodes must be an object"),
        ("evaluation/first.json", '{"game": "parity"}', "is of 'parity', the run of tmaze"),
        ("metrics.jsonl", "{}\n", "line 1 is no row of metrics"),
        ("metrics.jsonl", "not json\n", "line 1 is not JSON"),
    ],
    ids=range(12),
)
def test_a_hostile_or_broken_file_is_one_clear_error(tmp_path, file, content, message):
    run = write_run(tmp_path / "run")
    (run / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        read_run_folder(run)


def test_a_pipe_in_place_of_a_file_does_not_hang(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "provenance.json").unlink()
    os.mkfifo(run / "provenance.json")
    with pytest.raises(ValueError, match=r"provenance.json is no regular file"):
        read_run_folder(run)


def test_links_out_of_a_folder_are_not_followed(tmp_path):
    write_run(tmp_path / "elsewhere")
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ValueError, match="no run in"):
        find_runs([tmp_path / "runs"])
