"""The exit code of a run that a signal ended."""

import json

import pytest

from experiment.training_command import REQUEUE, exit_code


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("running", 143, 143),
        ("failed", 143, 143),
        ("stopped", 143, REQUEUE),
        ("finished", 143, 0),
        ("stopped", 0, REQUEUE),
        ("finished", 0, 0),
        ("stopped", 1, 1),
    ],
)
def test_a_run_that_a_signal_killed_is_no_success(tmp_path, status, code, expected):
    (tmp_path / "status.json").write_text(json.dumps({"status": status, "why": ""}))
    assert exit_code(code, tmp_path, requeue=True) == expected
    if status == "stopped" and expected == REQUEUE:
        assert exit_code(code, tmp_path, requeue=False) == 0
