"""What the signals that end a process do: a run stops after its update, all else at once.

A program that is still loading has nothing to close: `end_on_signals` has it end with a line.
What works is ended by KeyboardInterrupt, so that what is open is closed.

SIGINT is Ctrl-C, SIGTERM comes from schedulers, SIGHUP from a terminal that was closed (nohup has
it ignored), SIGUSR1 from Slurm, before its time limit. Once a stop was asked for, a Ctrl-C ends the
process at once; all else is taken for the same request, as schedulers send it to every process of
a job, and launchers send it on.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import FrameType
from typing import NoReturn

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
IMPORT = "<frozen importlib._bootstrap>"
RETRY_SECONDS = 0.02
ERASE = "\r\x1b[K"
"""Erases the line that the cursor of a terminal is in."""


class StopRequest:
    """Whether, and by which signal, a stop was asked for."""

    def __init__(self, on_second: signal.Handlers = signal.SIG_DFL) -> None:
        self.signal_name: str | None = None
        self._on_second = on_second

    def _receive(self, number: int, _frame: FrameType | None) -> None:
        self.signal_name = signal.Signals(number).name
        for other in SIGNALS:
            signal.signal(other, self._on_second if other == signal.SIGINT else signal.SIG_IGN)
        leave_lost_terminal()


@contextmanager
def stop_signals(on_second: signal.Handlers = signal.SIG_DFL) -> Iterator[StopRequest]:
    """Yields a request that the signals set while the block runs.

    Args:
        on_second: what a Ctrl-C then does: it kills, or is ignored where the first may come twice
            (to a rank, from the terminal and from who launched it).
    """
    request = StopRequest(on_second)
    with _handled(SIGNALS, request._receive):
        yield request


@contextmanager
def interrupts() -> Iterator[None]:
    """Has signals raise KeyboardInterrupt, with their number, so that what is open is closed.

    One that comes while a module is imported is raised once it is there, and the next one ends the
    process: libraries take what is raised within an import for a failure of theirs, or go on
    without what they wanted.
    """
    interrupt = _Interrupt()
    with _handled(FATAL, interrupt.receive), _handled((signal.SIGALRM,), interrupt.retry):
        yield
        interrupt.raise_late()


def end_on_signals() -> None:
    """Has signals end the process at once, with one line: it loads, and nothing is open."""
    for number in _not_ignored(FATAL):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> NoReturn:
    leave_lost_terminal()
    with suppress(RuntimeError, OSError):  # RuntimeError: it came in the midst of a flush
        sys.stdout.flush()
    line = f"interrupted by {signal.Signals(number).name}\n"
    os.write(2, (ERASE + line if os.isatty(2) else line).encode())
    os._exit(128 + number)


@contextmanager
def signals_end_at_once() -> Iterator[None]:
    """Has signals end the process while it waits in a call that no handler would interrupt.

    One that came within an import just before is raised first.
    """
    if signal.getitimer(signal.ITIMER_REAL)[0]:
        time.sleep(2 * RETRY_SECONDS)
    with _handled(FATAL, signal.SIG_DFL):
        yield


def leave_lost_terminal() -> None:
    """Sends to nowhere what can no longer be printed, as the terminal was closed."""
    for output in (1, 2):
        try:
            os.write(output, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)


class _Interrupt:
    """Raises KeyboardInterrupt for a signal, at once or after the import that it came in."""

    def __init__(self) -> None:
        self._late: int | None = None

    def receive(self, number: int, frame: FrameType | None) -> None:
        leave_lost_terminal()
        if self._late is not None:
            _end(number, frame)
        if not _is_importing(frame):
            raise KeyboardInterrupt(number)
        self._late = number
        signal.setitimer(signal.ITIMER_REAL, RETRY_SECONDS, RETRY_SECONDS)

    def retry(self, _number: int, frame: FrameType | None) -> None:
        if not _is_importing(frame):
            self.raise_late()

    def raise_late(self) -> None:
        if self._late is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            number, self._late = self._late, None
            raise KeyboardInterrupt(number)


def _is_importing(frame: FrameType | None) -> bool:
    while frame is not None and frame.f_code.co_filename != IMPORT:
        frame = frame.f_back
    return frame is not None


def _not_ignored(numbers: Sequence[signal.Signals]) -> list[signal.Signals]:
    """Returns the signals without SIGHUP where nohup has it ignored."""
    is_ignored = signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    return [number for number in numbers if not (is_ignored and number == signal.SIGHUP)]


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals],
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    previous = {number: signal.signal(number, handler) for number in _not_ignored(numbers)}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
