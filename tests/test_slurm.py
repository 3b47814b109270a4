"""The script of docs/slurm.md under a stand-in of Slurm: signalled, killed, requeued, finished.

The stand-in runs the script as `sbatch` does: with the variables of an array's task, and again for
every `scontrol requeue`; the tests send what Slurm would.
"""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from experiment.metrics import read_metrics
from experiment.run_dir import read_status
from run_atari import main
from sweep.plan import SweepConfig, plan_runs
from sweep.steps import command_line
from tests.test_signals import wait_for

ROOT = Path(__file__).parents[1]
SMOKE = ROOT / "configs/smoke.yaml"
SETTINGS = ["log_interval_seconds=0", "checkpoint_interval_seconds=0", "num_threads=1"]
SCONTROL = '#!/bin/bash\necho "$@" >> requeued.txt\n'


class Task:
    """A task of an array job, in a folder with the script and its lines."""

    def __init__(self, folder, number=1):
        self.folder, self.number = folder, number
        script = re.search(r"```bash\n(.*?)```", (ROOT / "docs/slurm.md").read_text(), re.S)[1]
        (folder / "runs.sbatch").write_text(script)
        (folder / "bin").mkdir()
        (folder / "bin/scontrol").write_text(SCONTROL)
        (folder / "bin/scontrol").chmod(0o755)

    def start(self):
        given = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "SLURM_CPUS_PER_TASK": "1",
            "SLURM_ARRAY_JOB_ID": "7",
            "SLURM_ARRAY_TASK_ID": str(self.number),
        }
        self.log = (self.folder / "slurm.log").open("a")
        return subprocess.Popen(
            ["bash", "runs.sbatch"],
            cwd=self.folder,
            env=os.environ | given,
            stdout=self.log,
            stderr=self.log,
            start_new_session=True,
        )

    @property
    def requeued(self):
        file = self.folder / "requeued.txt"
        return file.read_text().splitlines() if file.exists() else []


def processes_of(script):
    """The pids of a session: the script and all that it began, as Slurm's container knows them."""
    shown = subprocess.run(
        ["ps", "-o", "pid=", "-s", str(script.pid)], capture_output=True, text=True, check=False
    )
    return [int(pid) for pid in shown.stdout.split()]


def updates(run):
    return len(read_metrics(run / "metrics.jsonl")) if (run / "metrics.jsonl").exists() else 0


@pytest.fixture
def sweep(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs").mkdir()
    return SweepConfig(
        config=SMOKE, cores="feedforward", out=Path("runs/smoke"), seeds=2, set=SETTINGS
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGUSR1, 138), (signal.SIGTERM, 143)])
def test_a_command_that_handles_no_signal_ends_by_it_and_is_queued_again(tmp_path, number, code):
    """As an evaluation is."""
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/commands.txt").write_text("bash -c 'touch began; exec sleep 60'\n")
    task = Task(tmp_path)
    script = task.start()
    wait_for((tmp_path / "began").exists)
    os.kill(script.pid, number)
    assert script.wait(timeout=20) == code
    assert task.requeued == ["requeue 7_1"]


@pytest.mark.slow
@pytest.mark.parametrize("notice", ["USR1 to the script", "TERM to all", "KILL"])
def test_a_task_that_slurm_ends_goes_on_and_is_evaluated(tmp_path, sweep, notice):
    plans = plan_runs(sweep)
    lines = [command_line(plan) for plan in plans]
    (tmp_path / "runs/commands.txt").write_text("\n".join(lines) + "\n")
    task, run = Task(tmp_path, number=2), plans[1].path

    script = task.start()
    wait_for(lambda: updates(run) >= 2)
    if notice.startswith("USR1"):
        os.kill(script.pid, signal.SIGUSR1)
    else:
        number = signal.SIGTERM if notice.startswith("TERM") else signal.SIGKILL
        for pid in processes_of(script):
            os.kill(pid, number)
    code = script.wait(timeout=120)
    if notice == "KILL":
        assert (code, task.requeued) == (-signal.SIGKILL, [])
    else:
        assert (code, task.requeued) == (143, ["requeue 7_2"])
        assert read_status(run)["status"] == "stopped"
    done = updates(run)

    assert task.start().wait(timeout=300) == 0
    assert len(task.requeued) == (notice != "KILL")
    assert read_status(run)["status"] == "finished"
    frames = [row["frames"] for row in read_metrics(run / "metrics.jsonl")]
    assert frames == sorted(set(frames))
    assert len(frames) > done
    assert len(json.loads((run / "provenance.json").read_text())["resumed"]) == 1
    (score,) = (run / "evaluation").glob("*.json")
    assert json.loads(score.read_text())["frames"] == frames[-1]
    assert not plans[0].path.exists()  # the line of another task
    assert [command_line(plan) for plan in plan_runs(sweep)] == [lines[0], ""]


@pytest.mark.parametrize("code", [0, 1, 2, 137, 138, 143])
def test_a_task_is_queued_again_where_a_signal_of_slurm_ended_it_alone(tmp_path, code):
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs/commands.txt").write_text(f"(exit {code})\n")
    task = Task(tmp_path)
    assert task.start().wait(timeout=60) == code
    assert task.requeued == (["requeue 7_1"] if code in (138, 143) else [])


def test_a_line_trains_and_evaluates_one_run_at_every_length(sweep):
    longer = SweepConfig(
        **vars(sweep) | {"config": ROOT / "configs/memory/parity.yaml", "lengths": "40"}
    )
    parts = [shlex.split(part) for part in command_line(plan_runs(longer)[1]).split(" && ")]
    assert all(part[:2] == [sys.executable, str(ROOT / "run_atari.py")] for part in parts)
    train, *evaluations = (part[2:] for part in parts)
    run = "runs/smoke/parity/feedforward/seed2"
    assert train[0] == "train"
    assert {"--seed=2", "--core.kind=feedforward", f"--run_dir={run}", "--requeue"} <= set(train)
    assert evaluations == [["evaluate", run], ["evaluate", run, "--length=40"]]


def test_sweep_prints_its_lines_and_runs_nothing(sweep, capsys):
    arguments = [f"--config={SMOKE}", "--cores=feedforward", "--seeds=2", "--out=runs/smoke"]
    assert main(["sweep", *arguments, "--set", *SETTINGS, "--print"]) == 0
    assert capsys.readouterr().out.splitlines() == [command_line(p) for p in plan_runs(sweep)]
    assert not sweep.out.exists()
