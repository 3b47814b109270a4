"""One session of a run: from a start or a resume to the moment it ends, and why it ended."""

import math
import time
from dataclasses import dataclass

from experiment.bounds import refuse_below, refuse_not_positive
from experiment.stop_signals import StopRequest


@dataclass(frozen=True, kw_only=True)
class SessionConfig:
    """When one session ends before its run does.

    Args:
        stop_after_updates: end after this many updates of the run; schedules still follow
            the whole run.
        max_seconds: end with a checkpoint this many seconds after the session began.
        requeue: exit with code 143 instead of 0 where the session ended before its run, and go on
            where the run's folder holds a run, so that a scheduler can repeat the command.
        stall_seconds: end with an error when nothing is learned for this long, and name the part
            that stands still; null waits forever.
        rank_timeout_seconds: of several processes, end all when one is waited for this long in an
            exchange; from the first step on, in which kernels may have to be compiled.
    """

    stop_after_updates: int | None = None
    max_seconds: float | None = None
    requeue: bool = False
    stall_seconds: float | None = 300.0
    rank_timeout_seconds: float = 60.0

    def __post_init__(self) -> None:
        refuse_below(self, 0, "stop_after_updates", "max_seconds")
        refuse_not_positive(self, "stall_seconds")
        if not 0 < self.rank_timeout_seconds < math.inf:
            raise ValueError(
                f"rank_timeout_seconds must be > 0 and finite, got {self.rank_timeout_seconds}"
            )


class Session:
    """A session under way; made when it begins.

    Args:
        config: when it ends.
        stop: what the signals ask for.
    """

    def __init__(self, config: SessionConfig, stop: StopRequest) -> None:
        self._config = config
        self._stop = stop
        self._began = time.monotonic()

    def reason_to_end(self, updates: int) -> str | None:
        """Returns what ends the session after `updates` updates of the run, or None."""
        limit, seconds = self._config.stop_after_updates, self._config.max_seconds
        if self._stop.signal_name is not None:
            return self._stop.signal_name
        if seconds is not None and time.monotonic() - self._began >= seconds:
            return f"max_seconds of {seconds:g}"
        if limit is not None and updates >= limit:
            return f"stop_after_updates of {limit}"
        return None
