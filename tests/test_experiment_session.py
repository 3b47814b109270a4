"""When a session ends: by signal, by the clock, by its updates."""

import importlib
import math
import os
import signal
import time

import pytest

from experiment.session import Session, SessionConfig
from experiment.stop_signals import (
    SIGNALS,
    StopRequest,
    interrupts,
    signals_end_at_once,
    stop_signals,
)


def test_a_session_without_limits_goes_on():
    assert Session(SessionConfig(), StopRequest()).reason_to_end(10**9) is None


def test_the_clock_ends_a_session():
    session = Session(SessionConfig(max_seconds=0.05), StopRequest())
    assert session.reason_to_end(0) is None
    time.sleep(0.06)
    assert session.reason_to_end(0) == "max_seconds of 0.05"


def test_updates_end_a_session():
    session = Session(SessionConfig(stop_after_updates=3), StopRequest())
    assert session.reason_to_end(2) is None
    assert session.reason_to_end(3) == "stop_after_updates of 3"


@pytest.mark.parametrize("number", SIGNALS, ids=lambda s: s.name)
def test_a_first_signal_asks_and_then_control_c_alone_kills(number):
    """What schedulers send once more, to every process of a job, is the same request."""
    before = signal.getsignal(number)
    with stop_signals() as stop:
        session = Session(SessionConfig(), stop)
        assert session.reason_to_end(0) is None
        os.kill(os.getpid(), number)
        assert session.reason_to_end(0) == number.name
        then = {other: signal.getsignal(other) for other in SIGNALS}
        assert then.pop(signal.SIGINT) == signal.SIG_DFL
        assert set(then.values()) == {signal.SIG_IGN}
    assert signal.getsignal(number) == before


def test_a_closed_terminal_ends_nothing_that_nohup_protects():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with interrupts(), stop_signals() as stop:
        os.kill(os.getpid(), signal.SIGHUP)
        assert stop.signal_name is None
    assert signal.signal(signal.SIGHUP, before) == signal.SIG_IGN


def test_what_came_within_an_import_is_raised_before_a_long_wait(tmp_path, monkeypatch):
    """No handler runs while a rank waits for others to join, half an hour at most."""
    (tmp_path / "late_part.py").write_text("import os\nos.kill(os.getpid(), 15)\n")
    monkeypatch.syspath_prepend(tmp_path)
    waited = []

    def join():
        with interrupts():
            importlib.import_module("late_part")
            with signals_end_at_once():
                waited.append(True)

    with pytest.raises(KeyboardInterrupt):
        join()
    assert not waited


@pytest.mark.parametrize(
    "settings",
    [{"max_seconds": -1.0}, {"max_seconds": math.nan}, {"stop_after_updates": -1}],
    ids=str,
)
def test_limits_that_cannot_be_are_refused(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        SessionConfig(**settings)
