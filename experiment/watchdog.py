"""Ends a run that makes no progress, and names the part that stands still.

A call that hangs, in an emulator or on a dead disk, cannot be interrupted from within: the
watchdog looks at where every thread stands, says so, and ends the process. Checkpoints are whole
or absent, so nothing but the time since the last one is lost.
"""

import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from types import FrameType, TracebackType

ROOT = Path(__file__).parents[1]
OWN_PARTS = {
    "experiment/ranks.py": "",
    "experiment/rank_signs.py": "",
    "experiment/watchdog.py": "",
    "experiment/": "run folder",
}
"""Of this folder: what waits for others, and what writes."""


class Watchdog:
    """Waits for beats while the `with` block runs.

    Args:
        limit_seconds: time without a beat that is too long; None waits forever. Time in which the
            whole process stood still (SIGSTOP, a sleeping laptop) does not count.
        parts: how file names begin, from the repository's root, and what is done there; "" where
            it waits for another part.
        give_up: called with the cause; it ends the process.
    """

    def __init__(
        self,
        limit_seconds: float | None,
        parts: Mapping[str, str],
        give_up: Callable[[str], None],
    ) -> None:
        self._limit_seconds = limit_seconds
        self._parts = parts
        self._give_up = give_up
        self._idle_seconds = 0.0
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def __enter__(self) -> "Watchdog":
        """Begins to watch."""
        if self._limit_seconds is not None:
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Ends the thread."""
        self._closed.set()
        if self._thread.is_alive():
            self._thread.join()

    def beat(self) -> None:
        """Says that the run made progress."""
        self._idle_seconds = 0.0

    def _watch(self) -> None:
        assert self._limit_seconds is not None
        poll_seconds = min(1.0, self._limit_seconds / 4)
        while not self._closed.wait(poll_seconds):
            self._idle_seconds += poll_seconds
            if self._idle_seconds >= self._limit_seconds:
                self._give_up(
                    f"no progress for {self._limit_seconds:g} s: {standstill(self._parts)}"
                )
                return


def standstill(parts: Mapping[str, str]) -> str:
    """Returns which parts of a run stand where, but for those that wait for another part."""
    frames = sys._current_frames()
    places = [
        f"{place} (thread {thread.name})"
        for thread in threading.enumerate()
        if thread is not threading.current_thread() and thread.ident in frames
        for place in [_place(frames[thread.ident], parts)]
        if place is not None
    ]
    return "; ".join(places) or "every part waits for another one"


def _place(frame: FrameType | None, parts: Mapping[str, str]) -> str | None:
    """Returns the part that a stack is in, by its innermost frame that belongs to one."""
    while frame is not None:
        file = Path(frame.f_code.co_filename)
        name = str(file.relative_to(ROOT)) if file.is_relative_to(ROOT) else ""
        for prefix, part in {**parts, **OWN_PARTS}.items():
            if name.startswith(prefix):
                return f"{part} stands still in {name}, line {frame.f_lineno}" if part else None
        frame = frame.f_back
    return None
