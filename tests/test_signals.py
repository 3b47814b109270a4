"""Signals to the command line: one line, the exit code of the signal, and nothing left behind."""

import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from experiment.checkpoint import newest_number
from experiment.run_dir import read_status
from tests.processes import PATIENCE_SECONDS, handles, wait_for

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "configs/smoke.yaml"


def start(folder, *arguments, stdout=subprocess.DEVNULL):
    return subprocess.Popen(
        [sys.executable, ROOT / "run_atari.py", *map(str, arguments)],
        cwd=folder,
        stdout=stdout,
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
    wait_for(lambda: handles(process.pid, signal.SIGTERM))
    time.sleep(seconds)
    stop(process, signal.SIGINT)
    assert not (policy.parent / "run/config.yaml").exists()


INTERRUPTED = """
import os, runpy, signal, sys

class Interrupt:
    def find_spec(self, name, path, target=None):
        if name == MODULE:
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Interrupt())
sys.argv = [PROGRAM, "train", "--help"]
runpy.run_path(PROGRAM, run_name="__main__")
"""


@pytest.mark.parametrize("program", ["run_atari.py", "run_sequences.py"])
@pytest.mark.parametrize("module", ["jsonargparse", "numpy._core.multiarray", "torch.nn"])
def test_control_c_within_an_import_is_one_line(program, module):
    script = f"PROGRAM, MODULE = {program!r}, {module!r}{INTERRUPTED}"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted by SIGINT\n")


@pytest.mark.parametrize("times", [1, 2])
def test_what_works_is_interrupted_after_an_import_and_not_within_it(tmp_path, times):
    """Some libraries take what is raised within an import for a failure of their own."""
    (tmp_path / "part.py").write_text(
        "import os, signal\n" + "os.kill(os.getpid(), signal.SIGINT)\n" * times + "whole = True\n"
    )
    (tmp_path / "library.py").write_text(
        "try:\n    import part\nexcept BaseException:\n    raise ImportError('part')\n"
    )
    (tmp_path / "program.py").write_text(
        "import time\nfrom experiment.stop_signals import interrupts\n"
        "try:\n    with interrupts():\n        import library\n        time.sleep(60)\n"
        "except KeyboardInterrupt as error:\n    print(library.part.whole, error.args)\n"
    )
    done = subprocess.run(
        [sys.executable, tmp_path / "program.py"],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    late = (0, "True (2,)\n", "")
    assert (done.returncode, done.stdout, done.stderr) == (
        late if times == 1 else (130, "", "interrupted by SIGINT\n")
    )


def test_control_c_while_games_are_played_is_one_line(policy):
    arguments = (*COMMANDS["evaluate"], "--num_threads", 1)
    process = start(policy.parent, *arguments, stdout=subprocess.PIPE)
    assert process.stdout.readline().startswith("playing 2 games of Pong-v5 with rdn")
    time.sleep(0.3)
    stop(process, signal.SIGINT)
    assert [path.name for path in policy.parent.iterdir()] == [policy.name]


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
