"""The command line for tasks with answers: `show`, and mistakes."""

import pytest

from run_sequences import main, show_parser
from sequences.tasks import TASKS

TRAIN_TEXT = "train --task.kind text --batch.segment_length 8"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --task.kind listop", "unknown task 'listop'"),
        (f"{TRAIN_TEXT} --task.args.source nowhere", "no folder nowhere"),
        (f"{TRAIN_TEXT} --task.args.source empty", "no text for train in the 0 files"),
        (f"{TRAIN_TEXT} --task.args.files /x/*", "files must be a pattern within the folder"),
        ("train --task.kind text", "too long to be read whole: set batch.segment_length"),
        (
            "train --task.kind listops --task.args.value_probability 1.0",
            "a tree of depth 10 cannot be drawn",
        ),
        ("train --task.kind listops --task.args.dept 3", "close: task.args.depth"),
        (
            "train --task.kind listops --batch.segment_length 8",
            "listops is read in whole sequences: leave it null",
        ),
        (
            "train --task.kind listops --batch.lanes 100",
            "batch.lanes must be at most batch.sequences, 64, got 100",
        ),
        (
            "train --task.kind listops --batch.lanes 3 --processes 2",
            "must be a multiple of the number of processes",
        ),
        (
            "train --task.kind listops --learner.warmup_tokens 1000000",
            "learner.warmup_tokens, 1,000,000, must be below total_tokens, 1,000,000",
        ),
        ("train", "alone this would train listops lstm for"),
        ("train --task.kind formal --task.args.max_length 0", "need 1 <= min_length"),
        ("train --task.kind formal --model.precision half", "precision"),
        ("evaluate nowhere", "no checkpoint at nowhere"),
        ("watch nowhere", "no checkpoint at nowhere"),
        ("compare nowhere", "nowhere is no folder"),
        ("show listopps", "unknown task 'listopps'"),
        ("show text --task.args.source nowhere", "no folder nowhere"),
        ("show listops --task.args.value_probability 1.0", "cannot be drawn"),
        ("show listops --split tset", "split must be one of train, validation, test, got tset"),
        ("show listops --examples -1", "examples must be >= 1, got -1"),
        ("show listops --seed -1", "seed must be >= 0, got -1"),
        ("shwo listops", "close: show"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("options", "count"), [([], 3), (["--examples", "2"], 2)])
def test_show_prints_examples_with_their_answers(capsys, options, count):
    assert main(["show", "listops", "--task.args.depth", "1", *options]) == 0
    lines = capsys.readouterr().out.strip().split("\n\n")
    assert len(lines) == count
    assert all("->" in line for line in lines)


def test_the_help_of_show_names_every_task(monkeypatch):
    monkeypatch.setitem(TASKS, "riddles", TASKS["formal"])
    assert f"{', '.join(TASKS)} (required" in " ".join(show_parser().format_help().split())
