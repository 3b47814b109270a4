"""What ends a run is one line: the cause, what is left, how to go on."""

import errno
import os
import shutil

import pytest
import torch

from experiment.failure import RunFailed, failure
from experiment.run_dir import RunDir, read_status


def cpu_out_of_memory():
    try:
        torch.empty(1 << 55)
    except RuntimeError as error:
        return error


@pytest.fixture
def run(tmp_path):
    run = RunDir.create(tmp_path / "run", {}, {})
    (run.checkpoints / "000000000004.safetensors").touch()
    yield run
    run.close()


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), "No space left on device"),
        (MemoryError(), "out of memory: try a smaller learner.batch_size"),
        (cpu_out_of_memory(), "out of memory: try a smaller learner.batch_size"),
        (FloatingPointError("loss/total is nan"), "loss/total is nan"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_a_failure_names_its_cause_and_the_last_checkpoint(run, error, message):
    found = failure(run, error, "learner.batch_size")
    assert isinstance(found, RunFailed)
    assert message in str(found)
    last = "last checkpoint: 000000000004.safetensors; once the cause is mended, go on with"
    assert f"{last} --resume {run.path}" in str(found)
    assert read_status(run.path)["status"] == "failed"
    assert message in read_status(run.path)["why"]


def test_a_run_that_is_out_of_memory_is_told_to_go_on_with_less(run):
    assert str(failure(run, MemoryError(), "learner.batch_size")).endswith(
        f"go on with --resume {run.path} and smaller settings as flags"
    )


def test_a_folder_that_is_gone_is_said_to_be(run):
    shutil.rmtree(run.path)
    assert str(failure(run, FileNotFoundError(2, "gone"), "")).endswith(
        f"{run.path} is gone; status.json could not be written"
    )


def test_an_error_in_the_code_keeps_its_traceback(run):
    error = KeyError("a bug")
    assert failure(run, error, "learner.batch_size") is error
    assert read_status(run.path)["why"] == "KeyError: 'a bug'"
    assert isinstance(failure(run, ValueError("later"), ""), RuntimeError)
