"""Whatever befalls a run, it goes on or says why it cannot, and nothing is lost.

The default suite runs the quick part; `make faults` runs the long one and writes its figures.
"""

import signal
from dataclasses import asdict

import pytest

from experiment.checkpoint import load_newest
from experiment.run_dir import read_status
from tests.fault_campaign import (
    MODES,
    Report,
    Subject,
    campaign_of_kills,
    campaign_of_signals,
)
from tests.fault_runs import KINDS, Fault

pytestmark = pytest.mark.faults
QUICK_KILLS, LONG = 3, {"serial": 130, "async": 80}
QUICK_SIGNALS, LONG_SIGNALS = 1, {signal.SIGTERM: 50, signal.SIGINT: 5, signal.SIGUSR1: 5}
STALL_SECONDS = 8.0  # more than a busy machine takes for a rollout of this run

# What each fault says on screen and in status.json.
SAID = {
    "env raises": "RuntimeError: the emulator died",
    "env hangs": "env stands still in envs/memory/env.py",
    "actor raises": "RuntimeError: the actor died",
    "actor's thread ends": "the thread ended",
    "actor hangs": "actor stands still in agents/impala/acting.py",
    "learner raises": "RuntimeError: the learner died",
    "learner hangs": "learner stands still in agents/impala/learner.py",
    "learner out of memory": "out of memory: try a smaller learner.batch_size",
    "not finite": "loss/total is nan at update",
    "disk hangs": "run folder stands still in experiment/",
}
ON_DISK = {
    "ENOSPC": "No space left on device",
    "EROFS": "Read-only file system",
    "EIO": "Input/output error",
}
QUICK = ("env raises", "actor's thread ends", "learner out of memory", "not finite")
IN_CODE = ("env raises", "actor raises", "learner raises", "actor's thread ends")  # a traceback


@pytest.fixture(scope="module", params=MODES)
def whole(request, tmp_path_factory):
    """A run that nothing befalls."""
    subject = Subject(tmp_path_factory.mktemp("whole") / request.param, request.param)
    subject.finish()
    return subject


def test_every_fault_has_its_message():
    assert SAID.keys() == KINDS.keys()


def test_killed_runs_go_on(whole, tmp_path):
    campaign_of_kills(tmp_path, whole.mode, whole, QUICK_KILLS, seed=1)


def slow_but(quick, cases):
    """Returns cases, all but the quick ones marked slow."""
    return [c if c in quick else pytest.param(c, marks=pytest.mark.slow) for c in cases]


@pytest.mark.parametrize(
    "number", slow_but((signal.SIGTERM, signal.SIGINT), LONG_SIGNALS), ids=lambda n: n.name
)
def test_signals_end_runs_that_go_on(whole, tmp_path, number):
    campaign_of_signals(tmp_path, whole.mode, whole, number, QUICK_SIGNALS, seed=2)


def check_fault(whole, folder, kind, after):
    """Puts one fault into a run; returns how the session ended."""
    subject = Subject(folder, whole.mode)
    limit = ["--stall_seconds", STALL_SECONDS] if "hangs" in kind else []
    ended = subject.go(*limit, fault=Fault(kind, after))
    assert ended.code == 1, ended.stderr
    assert SAID[kind] in ended.stderr
    if kind != "disk hangs":  # nothing can be written then
        status = read_status(subject.run)
        assert status["status"] == "failed"
        assert SAID[kind] in status["why"]
    if kind not in IN_CODE:
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
        assert f"--resume {subject.run}" in ended.stderr
    subject.finish()
    subject.check_like(whole)
    return ended


@pytest.mark.parametrize("kind", slow_but(QUICK, [k for k in SAID if "hangs" not in k]))
def test_a_fault_is_named_and_the_run_goes_on(whole, tmp_path, kind):
    check_fault(whole, tmp_path, kind, after=7)


@pytest.mark.slow
def test_a_hang_is_named_and_the_run_goes_on(whole, tmp_path):
    check_fault(whole, tmp_path, {"serial": "learner hangs", "async": "env hangs"}[whole.mode], 7)


def disk_failed(whole, folder, kind, after):
    """Lets the disk fail from one operation on; the last checkpoint and all before it stay.

    Returns whether it did: a run may need fewer operations.
    """
    subject = Subject(folder, whole.mode)
    ended = subject.go(fault=Fault(kind, after))
    if ended.code != 0:
        assert ended.code in (1, 2), ended.stderr
        assert ON_DISK[kind] in ended.stderr
        assert len(ended.stderr.splitlines()) == 1, ended.stderr
    if list((subject.run / "checkpoints").glob("*.safetensors")):
        load_newest(subject.run / "checkpoints")
    subject.finish()
    subject.check_like(whole)
    return ended.code != 0


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "after"), [("ENOSPC", 55), ("EROFS", 0), ("EIO", 90)])
def test_a_failing_disk_is_named_and_the_last_checkpoint_stays(whole, tmp_path, kind, after):
    assert disk_failed(whole, tmp_path, kind, after)


def check_vanished(whole, folder, after):
    """Removes the run's folder under it."""
    subject = Subject(folder, whole.mode)
    ended = subject.go(fault=Fault("vanish", after))
    assert ended.code == 1, ended.stderr
    assert f"{subject.run} is gone" in ended.stderr
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert not (subject.run / "config.yaml").exists()


@pytest.mark.slow
def test_a_folder_that_vanishes_is_said_to_be_gone(whole, tmp_path):
    check_vanished(whole, tmp_path, after=70)


@pytest.mark.slow
def test_a_second_control_c_ends_a_run_at_once(tmp_path):
    subject = Subject(tmp_path, "serial")
    ended = subject.ask_and_demand(signal.SIGINT, Fault("learner hangs", 2))  # after a row
    assert ended.code == -signal.SIGINT
    subject.finish()


@pytest.mark.slow
def test_many_killed_runs_go_on(whole, tmp_path):
    tally = campaign_of_kills(tmp_path, whole.mode, whole, LONG[whole.mode], seed=3)
    Report().publish("kills", whole.mode, asdict(tally))


@pytest.mark.slow
@pytest.mark.parametrize("number", LONG_SIGNALS, ids=lambda n: n.name)
def test_many_signals_end_runs_that_go_on(whole, tmp_path, number):
    tally = campaign_of_signals(tmp_path, whole.mode, whole, number, LONG_SIGNALS[number], seed=4)
    Report().publish("signals", f"{number.name} {whole.mode}", asdict(tally))


@pytest.mark.slow
@pytest.mark.parametrize("kind", SAID)
def test_each_fault_at_several_moments(whole, tmp_path, kind):
    moments = (11,) if "hangs" in kind else (0, 11)
    ends = [check_fault(whole, tmp_path / str(after), kind, after) for after in moments]
    seconds = max(ended.seconds for ended in ends)
    Report().publish(
        "faults",
        f"{kind} {whole.mode}",
        {"trials": len(ends), "message": SAID[kind], "most_seconds_to_the_end": seconds},
    )


@pytest.mark.slow
@pytest.mark.parametrize("kind", ON_DISK)
def test_the_disk_fails_at_many_operations(whole, tmp_path, kind):
    moments = range(3, 300, 50)
    trials = sum(disk_failed(whole, tmp_path / str(after), kind, after) for after in moments)
    assert trials > len(moments) / 2
    Report().publish("disk", f"{kind} {whole.mode}", {"trials": trials, "message": ON_DISK[kind]})


@pytest.mark.slow
def test_the_folder_vanishes_at_many_operations(whole, tmp_path):
    moments = range(40, 200, 40)
    for after in moments:
        check_vanished(whole, tmp_path / str(after), after)
    Report().publish(
        "disk", f"vanished {whole.mode}", {"trials": len(moments), "message": "is gone"}
    )
