"""What the signals that end a process do: a run stops after its update, all else at once.

SIGINT is Ctrl-C, SIGTERM comes from schedulers, SIGHUP from a terminal that was closed (nohup has
it ignored), SIGUSR1 from Slurm, before its time limit. Once a stop was asked for, a Ctrl-C ends the
process at once; all else is taken for the same request, as schedulers send it to every process of
a job, and launchers send it on.
"""

import os
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
FATAL = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


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
    """Has signals raise KeyboardInterrupt, with their number, so that what is open is closed."""
    with _handled(FATAL, _interrupt):
        yield


@contextmanager
def signals_end_at_once() -> Iterator[None]:
    """Has signals end the process while it waits in a call that no handler would interrupt."""
    with _handled(FATAL, signal.SIG_DFL):
        yield


def leave_lost_terminal() -> None:
    """Sends to nowhere what can no longer be printed, as the terminal was closed."""
    for output in (1, 2):
        try:
            os.write(output, b"")
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), output)


def _interrupt(number: int, _frame: FrameType | None) -> None:
    leave_lost_terminal()
    raise KeyboardInterrupt(number)


@contextmanager
def _handled(
    numbers: Sequence[signal.Signals],
    handler: Callable[[int, FrameType | None], None] | signal.Handlers,
) -> Iterator[None]:
    ignored = [n for n in numbers if n == signal.SIGHUP and signal.getsignal(n) == signal.SIG_IGN]
    previous = {n: signal.signal(n, handler) for n in numbers if n not in ignored}
    try:
        yield
    finally:
        for number, before in previous.items():
            signal.signal(number, before)
