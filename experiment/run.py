"""A run from its start, or from where it stands, to its end, whatever it trains.

Order of events: one step is learned, its metrics are gathered; a row is written every
`log_interval_seconds`; a checkpoint every `checkpoint_interval_seconds`, at milestones, and where
the session ends well, by a signal or the clock too. Of several ranks each runs this; the first one
writes, and says when it is time to.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from functools import partial
from pathlib import Path
from signal import SIG_DFL, SIG_IGN
from typing import Any, Literal, TypeVar

import torch

from experiment.config import RunConfig, refuse_threads
from experiment.failure import cause, end_follower, out_of_memory
from experiment.files import unused_folder
from experiment.progress import ProgressDisplay
from experiment.provenance import origin_of_code
from experiment.ranks import ALONE, Ranks
from experiment.record import Record
from experiment.report import RunningReport
from experiment.run_dir import RunDir
from experiment.session import Session, SessionConfig
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.settings import flat_values, plain_values
from experiment.stop_signals import StopRequest, stop_signals
from experiment.tracking import refuse_missing
from experiment.trainable import Trainable
from experiment.watchdog import Watchdog

DEFAULT_SESSION = SessionConfig()
Made = TypeVar("Made")
Due = Literal["", "row", "checkpoint"]


def begin(
    kind: type[Trainable],
    config: RunConfig,
    session: SessionConfig = DEFAULT_SESSION,
    ranks: Ranks = ALONE,
) -> Path:
    """Trains something new.

    Args:
        kind: what is trained.
        config: every setting of the run, a `kind.Config`.
        session: when to stop before its end.
        ranks: that train it together, all called with the same.

    Returns:
        The run folder.

    Raises:
        ValueError: a setting cannot work, or the run folder exists.
    """
    refuse_missing(config.track)
    ranks.refuse_differences(lambda: flat_values(origin_of_code() | plain_values(config)))
    path = ranks.from_first(ranks.on_first(lambda: folder_of(kind, config)))
    with display(kind, config, path, ranks) as shown:
        set_threads(config.num_threads)
        trainable: Trainable = fitting(kind, partial(kind.begun, ranks=ranks), config)
        report = RunningReport(trainable, ranks=ranks)
        first = checkpoint_of(trainable, report)
        settings = plain_values(trainable.config)
        run_dir = ranks.on_first(lambda: RunDir.create(path, settings, first))
        if shown is not None:
            shown.doing("")  # it can begin
        Run(run_dir, trainable, report, shown, ranks).train(session)
    return path


def folder_of(kind: type[Trainable], config: RunConfig) -> Path:
    """Returns the folder of a new run: the one that is named, or an unused one of its own name.

    Raises:
        ValueError: the one that is named is in use.
    """
    if config.run_dir is None:
        return unused_folder(Path("runs") / kind.run_name(config))
    RunDir.refuse_used(Path(config.run_dir))
    return Path(config.run_dir)


def display(
    kind: type[Trainable], config: RunConfig, path: Path, ranks: Ranks
) -> AbstractContextManager[ProgressDisplay | None]:
    """Returns what the first rank shows of a run; the others show nothing."""
    if not ranks.is_first:
        return nullcontext()
    return ProgressDisplay(kind.title(config), kind.unit, path)


def fitting(kind: type[Trainable], make: Callable[[Any], Made], of: Any) -> Made:
    """Returns what is made of settings.

    Raises:
        ValueError: a setting cannot work, or asks for more memory than there is.
    """
    try:
        return make(of)
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            raise ValueError(cause(error, kind.memory_settings)) from error
        raise


class Run:
    """A run on one rank: what learns, what is gathered of it, and who records it.

    Args:
        run_dir: the folder, on the first rank; None on the others.
        trainable: what learns.
        report: gathers its metrics.
        shown: what the first rank shows.
        ranks: that train it together.
    """

    def __init__(
        self,
        run_dir: RunDir | None,
        trainable: Trainable,
        report: RunningReport,
        shown: ProgressDisplay | None,
        ranks: Ranks = ALONE,
    ) -> None:
        self.record = None
        if run_dir is not None and shown is not None:
            self.record = Record(run_dir, trainable, shown)
        self.trainable = trainable
        self.report = report
        self.ranks = ranks
        self.config: RunConfig = trainable.config
        self._saved = self._logged = time.monotonic()

    def train(self, session: SessionConfig, changes: Changes = NO_CHANGES) -> None:
        """Learns until the run or the session ends.

        Args:
            session: when to stop before the run's end.
            changes: settings that were others before the session.
        """
        parts = self.trainable.parts
        give_up: Callable[[str], None] = partial(end_follower, self.ranks.rank)
        with ExitStack() as stack:
            stack.callback(self.trainable.close)
            is_alone = self.ranks.size == 1
            stop = stack.enter_context(stop_signals(SIG_DFL if is_alone else SIG_IGN))
            if self.record is not None:
                give_up = self.record.give_up
                stack.enter_context(self.record.session(self.ranks.size, changes))
            watchdog = stack.enter_context(Watchdog(session.stall_seconds, parts, give_up))
            stack.enter_context(self.ranks.watched(parts, give_up))
            self._loop(session, stop, watchdog)

    def _loop(self, config: SessionConfig, stop: StopRequest, watchdog: Watchdog) -> None:
        of, session = self.trainable, Session(config, stop)
        is_saved, is_limited = True, False
        reason = self._agreed(session, "")[0]
        with closing(of.rows()) as rows:
            while not reason and (row := next(rows, None)) is not None:
                watchdog.beat()
                self.report.add(row)
                reason, due = self._agreed(session, self._due())
                is_saved = due == "checkpoint"
                self._write(due)
                if not is_limited:
                    self.ranks.limit_waits(config.rank_timeout_seconds)
                    is_limited = True
        if not is_saved:
            self._write("checkpoint")
        if self.record is not None:
            self.record.end(reason)

    def _agreed(self, session: Session, due: Due) -> tuple[str | None, Due]:
        """Returns why any rank wants to end, and what is due by the first one's clock."""
        wishes = self.ranks.gather((session.reason_to_end(self.trainable.updates), due))
        return next((reason for reason, _ in wishes if reason), None), wishes[0][1]

    def _due(self) -> Due:
        """Returns what it is time for."""
        now = time.monotonic()
        is_due = now - self._saved >= self.config.checkpoint_interval_seconds
        if is_due or self.trainable.passed_milestone:
            self._saved = self._logged = now
            return "checkpoint"
        if now - self._logged >= self.config.log_interval_seconds:
            self._logged = now
            return "row"
        return ""

    def _write(self, due: Due) -> None:
        """Gathers what is due of all ranks; the first one writes it."""
        if due and self.report.is_pending:
            row = self.report.take_row()
            if self.record is not None:
                self.record.write_row(row)
        if due == "checkpoint":
            payload = checkpoint_of(self.trainable, self.report)
            if self.record is not None:
                self.record.save(payload)


def checkpoint_of(trainable: Trainable, report: RunningReport) -> dict[str, Any]:
    """Returns what a checkpoint holds: what a policy file has, and what a resume needs."""
    return {
        "config": plain_values(trainable.config),
        **trainable.policy_values(),
        "policy": trainable.weights(),
        "progress": {trainable.unit: trainable.done, "updates": trainable.updates},
        "trainable": trainable.state_dict(),
        "seconds": report.seconds,
    }


def set_threads(num_threads: int) -> None:
    """Gives torch a number of threads; with 0 it keeps its own choice.

    Raises:
        ValueError: no such number can be.
    """
    refuse_threads(num_threads)
    if num_threads:
        torch.set_num_threads(num_threads)
