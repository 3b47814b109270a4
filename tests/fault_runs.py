"""Whole training runs in processes of their own, and the faults that are put into them.

A fork server has imported everything, so that a run costs little more than what it does. The
child runs the command line, with a fault installed where one is asked for.
"""

import errno
import io
import multiprocessing
import os
import shutil
import signal
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass
from pathlib import Path

import torch

import agents.impala.acting
import agents.impala.learner
import agents.impala.stand_in
import envs.memory.env
import experiment.checkpoint
import run_atari

PATIENCE_SECONDS = 900.0  # for a process that should end by itself, on a busy machine
SERVER = multiprocessing.get_context("forkserver")
SERVER.set_forkserver_preload(["tests.fault_runs"])
HOUR_SECONDS = 3600.0
OUTPUTS = ("stdout", "stderr")


@dataclass(frozen=True)
class Fault:
    """What goes wrong in a child.

    Args:
        kind: a name in `KINDS`, or of an error of the file system ("ENOSPC"), or "kill", or
            "kill in a checkpoint" (only operations in its write count), or "vanish".
        after: how often it goes well before.
    """

    kind: str
    after: int


class FaultyFiles:
    """A layer between a process and its files that fails from some operation on.

    Counts what is opened for writing, written, flushed to disk, renamed, removed and made. The
    operation that fails is a write of half its data, where it is a write.
    """

    def __init__(self, folder: Path, fault: Fault) -> None:
        self.count = 0
        self._folder = folder
        self._fault = fault
        self._failing = False
        self._counts = True

    def install(self) -> None:
        """Takes the place of the functions that this suite and TensorBoard write with."""
        tempfile.gettempdir()  # which tries it out; it is not on the disk that fails
        for name in ("fsync", "replace", "unlink", "truncate", "mkdir"):
            setattr(os, name, self._guard(getattr(os, name)))
        self._open = io.open
        io.open = self._open_guarded
        if self._fault.kind == "kill in a checkpoint":
            self._counts = False
            checkpoint = experiment.checkpoint
            checkpoint.write_atomically = self._counted(checkpoint.write_atomically)

    def _counted(self, function):
        def counted(*arguments):
            self._counts = True
            function(*arguments)
            self._counts = False

        return counted

    def step(self, before=lambda: None) -> None:
        """Counts one operation, and fails where it is time to."""
        self.count += self._counts
        if not self._counts or self.count <= self._fault.after or self._failing:
            return
        before()
        if self._fault.kind.startswith("kill"):
            os.kill(os.getpid(), signal.SIGKILL)
        if self._fault.kind == "vanish":
            self._failing = True  # once, and without counting what removes the folder
            shutil.rmtree(self._folder)
            return
        number = getattr(errno, self._fault.kind)
        raise OSError(number, os.strerror(number))

    def _guard(self, function):
        def guarded(*arguments, **settings):
            self.step()
            return function(*arguments, **settings)

        return guarded

    def _open_guarded(self, file, mode="r", *arguments, **settings):
        opened = self._open(file, mode, *arguments, **settings)
        if not set(mode) & set("wxa+") or isinstance(file, int):
            return opened
        self.step()
        return FaultyFile(opened, self)


class FaultyFile:
    """An open file whose writes go through a `FaultyFiles`."""

    def __init__(self, file, layer: FaultyFiles) -> None:
        self._file = file
        self._layer = layer

    def write(self, data):
        def half():
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._layer.step(before=half)
        return self._file.write(data)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)


def interpose(owner, name, after, act):
    """Replaces `owner.name` by itself, `after` times, and by `act(*arguments)` from then on."""
    function, calls = getattr(owner, name), [0]

    def replaced(*arguments, **settings):
        calls[0] += 1
        if calls[0] > after and (answer := act(*arguments, **settings)) is not None:
            return answer
        return function(*arguments, **settings)

    setattr(owner, name, replaced)


def raising(error):
    def act(*_, **__):
        raise error

    return act


def hanging(*_, **__):
    time.sleep(HOUR_SECONDS)


def spoiling(output, rollout, *_):
    rollout.behaviour_log_prob.fill_(torch.nan)


LEARNER, ACTOR, ENV = agents.impala.learner, agents.impala.acting, envs.memory.env
KINDS = {
    "env raises": (ENV, "EnvStep", raising(RuntimeError("the emulator died"))),
    "env hangs": (ENV, "EnvStep", hanging),
    "actor raises": (ACTOR, "sample_action", raising(RuntimeError("the actor died"))),
    "actor's thread ends": (ACTOR, "sample_action", raising(SystemExit("the thread ended"))),
    "actor hangs": (ACTOR, "sample_action", hanging),
    "learner raises": (LEARNER, "impala_loss", raising(RuntimeError("the learner died"))),
    "learner hangs": (LEARNER, "impala_loss", hanging),
    "learner out of memory": (LEARNER, "impala_loss", raising(MemoryError())),
    "not finite": (LEARNER, "impala_loss", spoiling),
    "disk hangs": (os, "fsync", hanging),
}


@dataclass
class Ended:
    """How a child ended: its exit code (negative: by that signal) and what it printed."""

    code: int
    stdout: str
    stderr: str
    seconds: float


def start(arguments, folder: Path, fault: Fault | None = None, environment=None, cwd="."):
    """Starts `run_atari.py` with its output in files of `folder`; returns the process."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in OUTPUTS:  # a child may be killed before it opens them
        (folder / name).write_text("")
    words = [str(argument) for argument in arguments]
    process = SERVER.Process(target=_child, args=(words, folder, fault, environment or {}, cwd))
    process.began = time.monotonic()
    process.start()
    return process


def wait(process, folder: Path) -> Ended:
    """Waits for a child."""
    process.join(PATIENCE_SECONDS)
    assert process.exitcode is not None, "the process did not end"
    text = {name: (folder / name).read_text() for name in OUTPUTS}
    return Ended(process.exitcode, **text, seconds=time.monotonic() - process.began)


def run(arguments, folder: Path, fault: Fault | None = None, cwd=".") -> Ended:
    """Runs `run_atari.py` to its end, in a working directory."""
    return wait(start(arguments, folder, fault, cwd=cwd), folder)


def _child(arguments, folder: Path, fault: Fault | None, environment, cwd) -> None:
    os.environ.update(environment)
    for number, name in enumerate(OUTPUTS, 1):
        os.dup2(os.open(folder / name, os.O_WRONLY), number)
    os.chdir(cwd)
    layer = FaultyFiles(folder / "run", fault or Fault("EIO", sys.maxsize))
    if fault is not None and fault.kind in KINDS:
        owner, name, act = KINDS[fault.kind]
        interpose(owner, name, fault.after, act)
    else:
        layer.install()
    try:
        code = run_atari.main(arguments)
    except SystemExit as error:
        code = error.code
        if isinstance(code, str):
            code = 1
            print(error, file=sys.stderr)
    except BaseException:
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    os._exit(code or 0)
