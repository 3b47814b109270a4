"""Metrics files: standard JSON, and no row lost or doubled by a resume."""

import json
import math
import time

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from experiment.metrics import MetricsWriter, newest_row, read_metrics


def write(folder, *, after, frames, loss=1.0):
    writer = MetricsWriter(folder, "frames", after)
    for f in frames:
        writer.write({"frames": f, "loss/total": loss})
    writer.close()


def next_second():
    time.sleep(1.1)  # files of TensorBoard are in order by the second


def board_steps(folder):
    board = EventAccumulator(str(folder / "tensorboard"))
    board.Reload()
    return [(event.step, event.value) for event in board.Scalars("loss/total")]


def test_resumed_metrics_lose_what_lies_beyond_the_checkpoint(tmp_path):
    path = tmp_path / "metrics.jsonl"
    write(tmp_path, after=0, frames=(100, 200, 300))
    before = path.read_bytes()
    with path.open("a") as file:
        file.write('{"frames": 400, "lo')  # a row that a crash cut
    write(tmp_path, after=200, frames=(250,), loss=2.0)
    assert [row["frames"] for row in read_metrics(path)] == [100, 200, 250]
    assert path.read_bytes().startswith(b"".join(before.splitlines(keepends=True)[:2]))


def test_tensorboard_shows_no_step_twice_after_a_resume(tmp_path):
    write(tmp_path, after=0, frames=(100, 200, 300))
    next_second()
    write(tmp_path, after=200, frames=(250, 300), loss=2.0)
    assert board_steps(tmp_path) == [(100, 1.0), (200, 1.0), (250, 2.0), (300, 2.0)]


def test_a_run_that_begins_anew_begins_its_metrics_anew(tmp_path):
    write(tmp_path, after=0, frames=(100, 200))
    next_second()
    write(tmp_path, after=0, frames=(100,), loss=2.0)
    assert [row["loss/total"] for row in read_metrics(tmp_path / "metrics.jsonl")] == [2.0]
    assert board_steps(tmp_path) == [(100, 2.0)]


def refuse(constant):
    raise AssertionError(f"{constant} is no JSON")


def test_numbers_that_are_not_finite_are_null_in_standard_json(tmp_path):
    writer = MetricsWriter(tmp_path, "frames", 0)
    row = {"frames": 5, "loss/total": math.nan, "loss/value": -math.inf, "games": [(math.nan, 3)]}
    writer.write(row)
    writer.close()
    (line,) = (tmp_path / "metrics.jsonl").read_text().splitlines()
    assert json.loads(line, parse_constant=refuse) == {
        "frames": 5,
        "loss/total": None,
        "loss/value": None,
        "games": [[None, 3]],
    }


def test_a_file_of_before_with_nan_in_it_is_still_read(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"frames": 5, "loss/total": NaN}\n')
    assert read_metrics(tmp_path / "metrics.jsonl") == [{"frames": 5, "loss/total": None}]


@pytest.mark.parametrize("line", ["{", "[]", "7", '{"frames": "x"}', "[" * 100_000, "\xff"])
def test_a_line_that_is_no_row_is_named(tmp_path, line):
    (tmp_path / "metrics.jsonl").write_text('{"frames": 5}\n' + line + "\n", encoding="latin-1")
    with pytest.raises(ValueError, match="line 2 is no"):
        read_metrics(tmp_path / "metrics.jsonl")
    with pytest.raises(ValueError, match="its last line, is no"):
        newest_row(tmp_path / "metrics.jsonl")


@pytest.mark.parametrize(
    ("content", "newest"),
    [
        (None, None),
        ("", None),
        ('{"fra', None),
        ('{"frames": 1}\n', {"frames": 1}),
        ('{"frames": 1}\n{"frames": 2}\n{"fra', {"frames": 2}),
    ],
)
def test_the_newest_row_is_the_last_whole_one(tmp_path, content, newest):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    assert newest_row(tmp_path / "metrics.jsonl") == newest
