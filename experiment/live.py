"""What is shown of work under way: a live picture on a terminal, plain lines elsewhere.

The picture is drawn anew twice a second, and whole after the window changed its size. What was
printed above it in the window is then gone from there, as nobody can tell how it was wrapped.
"""

import itertools
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from threading import Timer
from types import TracebackType
from typing import IO, Self

from rich.console import Console, ConsoleDimensions, Group, RenderableType
from rich.control import Control
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.segment import ControlType
from rich.table import Table

PLAIN_INTERVAL_SECONDS = 10.0
PATIENCE_SECONDS = 1.0
MAX_LINE = 120  # characters
CLEARED = Control(ControlType.CLEAR, ControlType.HOME)
BARS = "▁▂▃▄▅▆▇█"


class LiveDisplay(ABC):
    """Shows work while its `with` block runs.

    Args:
        file: where to; None is standard output.
        transient: whether the picture is gone at the end.
        waits: whether the first line comes with the first change: what is refused before, within
            PATIENCE_SECONDS, says one line, and leaves no picture. Then a line says what is waited
            for.
    """

    def __init__(
        self, file: IO[str] | None = None, *, transient: bool = False, waits: bool = False
    ) -> None:
        self._console = Console(file=file, highlight=False, markup=False, emoji=False)
        self._file = file
        self._size: ConsoleDimensions | None = None
        self._last_line = self._began = time.monotonic()
        self._transient = transient
        self._live: Live | None = None
        self._waits = waits
        self._is_begun = not waits
        self._patience: Timer | None = None

    @abstractmethod
    def first_line(self) -> str:
        """Returns what begins."""

    @abstractmethod
    def parts(self) -> Sequence[str]:
        """Returns what `line` and `picture` say of the present state, what matters most first."""

    def progress(self) -> tuple[float, float] | None:
        """Returns how much there is to do and how much is done; None where nobody knows."""
        return None

    def line(self) -> str:
        """Returns the present state in one line, for where there is no terminal."""
        return in_one_line(self.parts())

    def picture(self) -> RenderableType:
        """Returns the present state, for a terminal: what begins, a bar, and the parts."""
        width, progress = self._console.width, self.progress()
        bars = [] if progress is None else [bar(*progress, width)]
        return Group(self.first_line(), *bars, in_one_line(self.parts(), width))

    def line_before(self) -> str:
        """Returns what is waited for before anything begins."""
        return "building ..."

    @property
    def elapsed(self) -> float:
        """Seconds since it was made."""
        return time.monotonic() - self._began

    def __enter__(self) -> Self:
        """Starts the display."""
        with suppress(OSError):
            if self._console.is_terminal:
                self._live = Live(
                    get_renderable=self._drawn,
                    console=self._console,
                    refresh_per_second=2,
                    transient=self._transient,
                )
                self._live.start(refresh=True)
            elif not self._waits:
                self._print(self.first_line())
            elif not self._is_begun:
                self._patience = Timer(PATIENCE_SECONDS, self._say_before)
                self._patience.daemon = True
                self._patience.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Leaves the last state on screen, but for what is transient, or has never begun."""
        with suppress(OSError):  # where the terminal was closed
            self._end_patience()
            if self._live:
                self._live.transient |= not self._is_begun
                self._live.stop()

    def changed(self, *, is_last: bool = False, at_once: bool = False) -> None:
        """Shows the present state where it is time.

        Args:
            is_last: a line is printed in any case.
            at_once: the picture is not to wait for its next turn.
        """
        with suppress(OSError):
            is_first, self._is_begun = not self._is_begun, True
            if self._live:
                if at_once:
                    self._live.refresh()
                return
            if is_first:
                self._end_patience()
                self._last_line = time.monotonic()
                self._print(self.first_line())
            if is_last or time.monotonic() - self._last_line >= PLAIN_INTERVAL_SECONDS:
                self._last_line = time.monotonic()
                self._print(self.line())

    def _say_before(self) -> None:
        with suppress(OSError):
            self._print(self.line_before())

    def _end_patience(self) -> None:
        if self._patience:
            self._patience.cancel()
            self._patience.join()
            self._patience = None

    def _print(self, line: str) -> None:
        print(line, file=self._file, flush=True)

    def _drawn(self) -> RenderableType:
        size = self._console.size
        if self._size not in (None, size):
            self._console.control(CLEARED)
        self._size = size
        return self.picture()


def bar(total: float, done: float, most: int) -> RenderableType:
    """Returns a bar for what is done of a total, on a line of its own of at most 60 columns."""
    line = Table.grid()
    line.add_row(ProgressBar(total, min(done, total), width=min(most, 60)))
    return line


def in_one_line(parts: Sequence[str], most: int = MAX_LINE) -> str:
    """Returns parts side by side, without the last ones where they are too long together."""
    line = ""
    for part in parts:
        longer = f"{line}  {part}" if line else part
        if len(longer) > most:
            break
        line = longer
    return line


def sparkline(values: Sequence[float], most: int = 40) -> str:
    """Returns bars for values, of many the means of equal stretches; "" for fewer than two."""
    if len(values) < 2:
        return ""
    num = min(most, len(values))
    ends = [len(values) * i // num for i in range(num + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(ends)]
    low, high = min(means), max(means)
    scale = (len(BARS) - 1) / (high - low) if high > low else 0.0
    return "".join(BARS[round((mean - low) * scale)] for mean in means)


def time_left(left: int, per_second: float) -> str:
    """Returns h:mm:ss for what is left at a speed."""
    return duration(max(0, left) / per_second)


def duration(seconds: float) -> str:
    """Returns hours, minutes and seconds, as in 1:02:03; of decades only that."""
    limit = timedelta(days=10_000)
    if seconds > limit.total_seconds():
        return f"over {limit.days:,} days"
    return str(timedelta(seconds=round(seconds)))
