"""Signals to the command line: one line, the exit code of the signal, and nothing left behind."""

import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiment.checkpoint import newest_number
from experiment.run_dir import read_status

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "configs/smoke.yaml"
PATIENCE_SECONDS = 120


def wait_for(condition):
    """Waits until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def handles(process, number):
    """Whether a process has a handler of its own for a signal."""
    caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{process.pid}/status").read_text())
    return bool(int(caught[1], 16) >> (number - 1) & 1)


def start(folder, *arguments):
    return subprocess.Popen(
        [sys.executable, ROOT / "run_atari.py", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def stop(process, number):
    """Sends a signal to the process and its children, as a terminal does."""
    os.killpg(process.pid, number)
    said = process.communicate(timeout=PATIENCE_SECONDS)[1]
    assert said == f"interrupted by {number.name}\n"
    assert process.returncode == 128 + number


@pytest.fixture
def policy(tmp_path):
    shutil.copy(ROOT / "results/pong/rdn/seed1/policy.safetensors", tmp_path)
    return tmp_path / "policy.safetensors"


COMMANDS = {
    "train": ("train", "--config", SMOKE, "--run_dir", "run"),
    "evaluate": ("evaluate", "policy.safetensors", "--episodes", 2),
    "watch": ("watch", "policy.safetensors"),
}


@pytest.mark.parametrize("seconds", [0.0, 0.7])
@pytest.mark.parametrize("command", COMMANDS)
def test_control_c_while_a_command_starts_is_one_line(policy, command, seconds):
    process = start(policy.parent, *COMMANDS[command])
    wait_for(lambda: handles(process, signal.SIGTERM))
    time.sleep(seconds)
    stop(process, signal.SIGINT)
    assert not (policy.parent / "run/config.yaml").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_film_that_is_ended_leaves_nothing(policy, number):
    process = start(policy.parent, *COMMANDS["watch"], "--out", "film.mp4")
    wait_for(lambda: list(policy.parent.glob(".film.*")))
    stop(process, number)
    assert [path.name for path in policy.parent.iterdir()] == [policy.name]


def test_a_closed_terminal_ends_a_training_with_a_checkpoint(tmp_path):
    child, terminal = pty.fork()
    if not child:
        os.chdir(tmp_path)
        arguments = map(str, (*COMMANDS["train"], "--total_frames", 10**9))
        os.execv(sys.executable, [sys.executable, str(ROOT / "run_atari.py"), *arguments])
    metrics = tmp_path / "run/metrics.jsonl"
    while not (metrics.exists() and metrics.read_text()):
        os.read(terminal, 2**16)  # or it would wait for somebody to read what it shows
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert read_status(tmp_path / "run") == {"status": "stopped", "why": "SIGHUP"}
    assert newest_number(tmp_path / "run/checkpoints") > 0
