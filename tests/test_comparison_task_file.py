"""Files of the runs of one task: what they keep of run folders, and that nothing is trusted."""

import json
from dataclasses import replace

import numpy as np
import pytest

from agents.impala.shown import RETURN_TAG
from comparison.compare import compare_and_write
from comparison.read_runs import find_runs, read_runs
from comparison.run_record import evenly_spread
from comparison.task_file import CURVE_POINTS, read_task_file, task_file_of
from experiment.files import write_json
from tests.run_folders import ORIGIN, evaluation, metrics, write_evaluation, write_run, write_seeds


@pytest.fixture
def folders(tmp_path):
    """Two cores, one of them with bptt 1, one run at length 40 too, and their file."""
    root = tmp_path / "runs"
    write_seeds(root, "lstm", [0.6, 0.7])
    origin = ORIGIN | {"command": ["train"], "date": "2026-01-02T03:04:05+00:00"}
    run = write_run(root / "tmaze/rdn-bptt1/seed1", 0.9, core="rdn", bptt=1, origin=origin)
    write_evaluation(run, evaluation([0.55] * 500, length=40), "longer")
    return root


@pytest.fixture
def table(folders, tmp_path):
    file = tmp_path / "suite/tmaze.json"
    file.parent.mkdir()
    write_json(file, task_file_of(read_runs([folders])))
    return file


def comparable(run):
    """A record without its place and its arrays, and the arrays."""
    columns = {name: getattr(run.metrics, name) for name in ("done", "seconds", "scores")}
    config = replace(run.config, run_dir=None)
    bare = replace(run, name="", status="", config=config, metrics=run.metrics.end)
    return bare, {name: column.tolist() for name, column in columns.items()}


def test_a_file_says_what_its_folders_said(folders, table):
    of_folders, of_file = read_runs([folders]), read_runs([table])
    assert len(of_file) == 3
    for ours, theirs in zip(of_file, of_folders, strict=True):
        assert comparable(ours) == comparable(theirs)
    assert [run.name for run in of_file] == [f"{table} runs[{i}]" for i in range(3)]


def test_what_runs_share_stands_once_and_the_rest_at_each(table):
    content = json.loads(table.read_text())
    assert content["settings"]["game"] == "tmaze"
    assert content["settings"]["learner.unroll_length"] == 50
    assert not content["settings"].keys() & {"core.kind", "seed", "core.bptt", "run_dir"}
    assert content["provenance"] == ORIGIN
    *_, rdn = content["runs"]
    assert (rdn["core"], rdn["seed"], rdn["settings"]) == ("rdn", 1, {"core.bptt": 1})
    assert rdn["provenance"] == {"command": ["train"], "date": "2026-01-02T03:04:05+00:00"}
    assert rdn["score"]["mean_return"] == pytest.approx(0.9)
    (longer,) = rdn["evaluations"]
    assert (longer["settings"], longer["mean_return"]) == ({"length": 40}, pytest.approx(0.55))


def test_a_report_of_a_file_is_that_of_its_folders(folders, table, tmp_path):
    for name, path in (("folders", folders), ("file", table)):
        compare_and_write([path], tmp_path / name)
    texts = [(tmp_path / name / "report.md").read_text() for name in ("folders", "file")]
    tables, lists = zip(*(text.split("## Every run") for text in texts), strict=True)
    assert tables[0] == tables[1]
    assert str(table) in lists[1].replace("\\", "")


def test_a_long_curve_becomes_evenly_spread_points_with_both_ends(tmp_path):
    run = write_run(tmp_path / "run")
    rows = metrics(1 / 3, frames=range(1000, 400_000, 1000))
    (run / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    content = task_file_of(read_runs([run]))
    curve = content["runs"][0]["curve"]
    assert len(curve["frames"]) == CURVE_POINTS
    assert (curve["frames"][0], curve["frames"][-1]) == (1000, 399_000)
    assert set(np.diff(curve["frames"])) == {8000, 9000}
    assert curve["returns"][-1] == pytest.approx(1 / 3, rel=1e-7)
    assert len(json.dumps(content["runs"][0])) < 5000
    write_json(tmp_path / "a.json", content)
    assert task_file_of(read_task_file(tmp_path / "a.json")) == content  # and stays as it is


@pytest.mark.parametrize(("rows", "places"), [(0, []), (1, [0]), (3, [0, 1, 2]), (9, [0, 3, 5, 8])])
def test_evenly_spread_places(rows, places):
    assert evenly_spread(rows, 4) == places


def test_files_of_runs_are_found_below_a_folder_and_other_files_are_not(folders, table):
    other = table.with_name("comparison.json")
    write_json(other, {"runs": []})
    assert find_runs([table.parent, table]) == [table]
    with pytest.raises(ValueError, match=r"comparison\.json is no folder, and no file of runs"):
        find_runs([other])
    other.write_text("{")
    with pytest.raises(ValueError, match=r"comparison\.json is not JSON"):
        find_runs([table.parent])


def test_a_file_and_the_folders_that_it_was_made_of_hold_the_same_runs(folders, table, tmp_path):
    with pytest.raises(ValueError, match="are the same run"):
        compare_and_write([folders, table], tmp_path / "report")


EVIL = (
    (("runs",), 5, r"json: runs must be a list, got 5"),
    (("runs", 0), None, r"json runs\[0\] must be an object, got None"),
    (("settings",), [], r"json: settings must be an object, got \[\]"),
    (("settings", "game"), "../etc", r"json runs\[0\]: unknown game"),
    (("settings", "learner.magic"), 1, r"json runs\[0\]: unusable settings"),
    (("settings", "learner"), 1, r"json runs\[0\]: unusable settings"),
    (("runs", 1, "core"), "rnd", r"json runs\[1\]: core.kind must be one of"),
    (("runs", 1, "seed"), None, r"json runs\[1\] has no seed"),
    (("runs", 2, "settings", "core.bptt"), 2, r"json runs\[2\]: unusable settings"),
    (("runs", 0, "score"), 5, r"json runs\[0\]: an evaluation must be an object"),
    (("runs", 0, "evaluations"), {}, r"json runs\[0\]: evaluations must be a list"),
    (("runs", 0, "score", "mean_return"), float("nan"), r"runs\[0\]: mean_return must be a finite"),
    (("runs", 0, "score", "size", "x"), 1e300, r"json runs\[0\]: x must be a finite number"),
    (("runs", 0, "end", "wall_seconds"), "1", r"json runs\[0\]: wall_seconds must be a finite"),
    (("runs", 0, "curve", "returns"), "1", r"json runs\[0\]: returns must be a list of numbers"),
    (("runs", 0, "curve", "returns", 1), float("inf"), r"runs\[0\]: returns must be a finite"),
    (("runs", 0, "curve", "frames"), [1], r"json runs\[0\]: .* must be of one length"),
    (("runs", 0, "provenance"), "x", r"json runs\[0\]: provenance must be an object"),
)


@pytest.mark.parametrize(("place", "value", "message"), EVIL, ids=range(len(EVIL)))
def test_a_hostile_or_broken_value_is_one_clear_error(table, place, value, message):
    content = json.loads(table.read_text())
    *parents, last = place
    part = content
    for name in parents:
        part = part[name]
    part[last] = value
    table.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=message) as caught:
        read_task_file(table)
    assert "\n" not in str(caught.value).split("unusable settings")[0]


def test_a_run_without_a_score_is_kept_as_one(tmp_path):
    run = write_run(tmp_path / "run")
    (run / "evaluation/first.json").unlink()
    write_json(tmp_path / "a.json", task_file_of(read_runs([run])))
    (record,) = read_task_file(tmp_path / "a.json")
    assert (record.score, record.others) == (None, ())
    assert RETURN_TAG not in record.metrics.end


def test_a_file_without_a_run_is_named(table, tmp_path):
    (tmp_path / "none.json").write_text(json.dumps(json.loads(table.read_text()) | {"runs": []}))
    with pytest.raises(ValueError, match=r"none\.json has no runs"):
        read_task_file(tmp_path / "none.json")
