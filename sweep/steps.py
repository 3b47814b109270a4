"""One run of a sweep, worked off in processes of its own: train or resume, then evaluate.

What is left to do is read off the run folder, so that a sweep can be stopped and begun again.
What the processes print goes to `<run folder>.log`.
"""

import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

from agents.evaluation.evaluate import EvaluationConfig
from agents.evaluation.results import result_path
from experiment.checkpoint import newest_number
from experiment.files import read_json
from experiment.orphans import end_with_parent
from experiment.provenance import ROOT
from experiment.run_dir import RunDir, status_word
from sweep.plan import RunPlan

POLL_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run ended; skipped means that there was nothing to do."""

    kind: Literal["skipped", "finished", "stopped", "failed"]
    cause: str = ""


def commands_left(plan: RunPlan) -> Iterator[list[str]]:
    """Yields the arguments of what is left to do; the next is asked for when one has succeeded.

    Raises:
        ValueError: the folder is no usable run folder, or the last checkpoint cannot be evaluated.
    """
    plugins = [f"--plugin={name}" for name in plan.plugins]
    if not is_trained(plan):
        yield [*_train(plan), *plugins]
    if is_trained(plan):
        for evaluation in plan.evaluations:
            if not score_path(plan, evaluation).exists():
                yield [*_evaluate(plan, evaluation), *plugins]
                if not score_path(plan, evaluation).exists():
                    raise ValueError(f"the newest checkpoint in {plan.path} is damaged: {plan.log}")


def command_line(plan: RunPlan) -> str:
    """Returns a shell command of what is left of a run, to be run in the present folder; or "".

    It may be repeated after it was stopped, wherever the run stands then.
    """
    has_end = is_trained(plan)
    train = ["train", *plan.arguments, *_processes(plan), "--requeue"]
    commands = [] if has_end else [train]
    commands += [
        _evaluate(plan, evaluation)
        for evaluation in plan.evaluations
        if not has_end or not score_path(plan, evaluation).exists()
    ]
    plugins = [f"--plugin={name}" for name in plan.plugins]
    program = [sys.executable, str(ROOT / "run_atari.py")]
    return " && ".join(shlex.join([*program, *command, *plugins]) for command in commands)


def is_trained(plan: RunPlan) -> bool:
    """Returns whether the run reached its last frame."""
    return status_word(plan.path) == "finished"


def score_path(plan: RunPlan, evaluation: EvaluationConfig) -> Path:
    """Returns where an evaluation of the run's last checkpoint is written."""
    updates = newest_number(plan.path / "checkpoints")
    return result_path(plan.path, plan.config.game, updates, evaluation)


def mean_return(plan: RunPlan) -> float:
    """Returns the score of a run that is trained and evaluated: of its first evaluation."""
    return float(read_json(score_path(plan, plan.evaluations[0]))["mean_return"])


def _train(plan: RunPlan) -> list[str]:
    if not (plan.path / "config.yaml").exists():
        return ["train", *plan.arguments, *_processes(plan)]
    RunDir.refuse_without_checkpoint(plan.path)
    return ["train", f"--resume={plan.path}", *_processes(plan)]


def _processes(plan: RunPlan) -> list[str]:
    return [f"--processes={plan.processes}"] if plan.processes > 1 else []


def _evaluate(plan: RunPlan, evaluation: EvaluationConfig) -> list[str]:
    usual = EvaluationConfig()
    length = [] if evaluation.length is None else [f"--length={evaluation.length}"]
    seed = [] if evaluation.seed == usual.seed else [f"--seed={evaluation.seed}"]
    return ["evaluate", str(plan.path), *length, *seed]


class RunInProgress:
    """The processes of one run, one after the other.

    Args:
        plan: the run.
    """

    def __init__(self, plan: RunPlan) -> None:
        self.plan = plan
        self._commands = commands_left(plan)
        self._process: subprocess.Popen[bytes] | None = None
        self._is_stopped = False

    def poll(self) -> Outcome | None:
        """Starts the next process where the last has ended; returns how the run ended, if so."""
        has_worked = self._process is not None
        if self._process is not None:
            code = self._process.poll()
            if code is None:
                return None
            if code:
                return self._failure(code)
        try:
            command = next(self._commands, None)
        except (ValueError, OSError) as error:
            return Outcome("failed", str(error))
        if command is None:
            if not is_trained(self.plan):
                return Outcome("stopped")
            return Outcome("finished" if has_worked else "skipped")
        if self._is_stopped:
            return Outcome("stopped")
        self._process = self._start(command)
        return None

    def stop(self) -> None:
        """Asks the process to end; training writes a checkpoint first."""
        if not self._is_stopped and self._process is not None:
            self._process.terminate()
        self._is_stopped = True

    def wait(self) -> Outcome:
        """Returns how the run ended, when it has; its process does not outlive the caller."""
        try:
            while (outcome := self.poll()) is None:
                time.sleep(POLL_SECONDS)
            return outcome
        finally:
            self.stop()
            if self._process is not None:
                self._process.wait()

    def _start(self, command: list[str]) -> subprocess.Popen[bytes]:
        self.plan.log.parent.mkdir(parents=True, exist_ok=True)
        with self.plan.log.open("ab") as log:
            log.write(f"$ run_atari.py {' '.join(command)}\n".encode())
            log.flush()
            return subprocess.Popen(
                [sys.executable, str(ROOT / "run_atari.py"), *command],
                cwd=self.plan.working_dir,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=partial(end_with_parent, signal.SIGKILL),  # resumed elsewhere, maybe
                start_new_session=True,  # Ctrl-C reaches the sweep alone, which then stops its runs
            )

    def _failure(self, code: int) -> Outcome:
        if self._is_stopped:
            return Outcome("stopped")
        if code < 0:
            return Outcome("failed", f"killed by {signal.Signals(-code).name}")
        lines = self.plan.log.read_text(errors="replace").split("\n")
        return Outcome("failed", next(line for line in reversed(lines) if line.strip()))
