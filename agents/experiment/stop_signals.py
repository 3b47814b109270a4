"""Requests to stop: the first signal asks, the second one ends the process at once."""

import os
import signal
from types import FrameType, TracebackType
from typing import Any, Self

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """Catches Ctrl-C, SIGTERM and SIGUSR1 (Slurm's warning) while entered, in the main thread.

    The training loop looks at `received` between updates, writes its last checkpoint and returns.
    """

    def __init__(self) -> None:
        self.received: str | None = None  # name of the signal
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None:
            os._exit(128 + number)
        self.received = signal.Signals(number).name
