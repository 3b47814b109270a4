"""A run from its start, or from where it stands, to its end, in its folder; whatever it trains.

Order of events: one step is learned, its metrics are gathered; a row is written every
`log_interval_seconds`; a checkpoint every `checkpoint_interval_seconds`, at milestones, and at the
end of the session, whatever ended it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from experiment.checkpoint import SUFFIX, save_checkpoint, save_numbered
from experiment.config import RunConfig, refuse_threads
from experiment.failure import cause, end_process, failure, out_of_memory
from experiment.files import unused_path
from experiment.metrics import MetricsWriter
from experiment.nonfinite import NonFiniteUpdate
from experiment.progress import ProgressDisplay
from experiment.report import RunningReport
from experiment.run_dir import RunDir
from experiment.session import Session, SessionConfig
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.settings import flat_values, plain_values
from experiment.stop_signals import stop_signals
from experiment.tracking import refuse_missing, tracking
from experiment.trainable import Trainable
from experiment.watchdog import Watchdog

logger = logging.getLogger(__name__)

DEFAULT_SESSION = SessionConfig()
Made = TypeVar("Made")


def begin(
    kind: type[Trainable], config: RunConfig, session: SessionConfig = DEFAULT_SESSION
) -> Path:
    """Trains something new.

    Args:
        kind: what is trained.
        config: every setting of the run, a `kind.Config`.
        session: when to stop before its end.

    Returns:
        The run folder.

    Raises:
        ValueError: a setting cannot work, or the run folder exists.
    """
    path = folder_of(kind, config)
    refuse_missing(config.track)
    with ProgressDisplay(kind.title(config), kind.unit, path) as shown:
        set_threads(config.num_threads)
        trainable: Trainable = fitting(kind, kind.begun, config)
        report = RunningReport(trainable)
        first = checkpoint_of(trainable, report)
        run_dir = RunDir.create(path, plain_values(trainable.config), first)
        return Run(run_dir, trainable, report, shown).train(session)


def folder_of(kind: type[Trainable], config: RunConfig) -> Path:
    """Returns the folder of a new run: the one that is named, or an unused one of its own name.

    Raises:
        ValueError: the one that is named is in use.
    """
    if config.run_dir is None:
        return unused_path(Path("runs") / kind.run_name(config))
    RunDir.refuse_used(Path(config.run_dir))
    return Path(config.run_dir)


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
    """A run in its folder: what learns, what is gathered of it, and where that is written."""

    def __init__(
        self,
        run_dir: RunDir,
        trainable: Trainable,
        report: RunningReport,
        shown: ProgressDisplay,
    ) -> None:
        self.run_dir = run_dir
        self.trainable = trainable
        self.report = report
        self.config: RunConfig = trainable.config
        self.metrics = MetricsWriter(run_dir.path, trainable.unit, trainable.done)
        self.shown = shown
        self._saved = self._logged = time.monotonic()

    def train(self, session: SessionConfig, changes: Changes = NO_CHANGES) -> Path:
        """Learns until the run or the session ends.

        Args:
            session: when to stop before the run's end.
            changes: settings that were others before the session.

        Returns:
            The run folder.
        """
        of = self.trainable
        self.run_dir.record_session(of.unit, of.done, of.arithmetic, changes, of.origin)
        if changes:
            self.run_dir.change_config(plain_values(self.config))
        settings = flat_values(plain_values(self.config))
        self.metrics.describe(settings)
        self.run_dir.set_status("running")
        tracked = tracking(self.config.track, self.run_dir.path, of.unit, settings)
        watchdog = Watchdog(session.stall_seconds, of.parts, partial(end_process, self.run_dir))
        try:
            with stop_signals() as stop, tracked as self.track, watchdog:
                self.shown.begin(of.done, of.total, of.shown)
                self._loop(Session(session, stop), watchdog)
        except NonFiniteUpdate as error:
            raise failure(self.run_dir, error, of.memory_settings, self._dump(error)) from error
        except BaseException as error:
            raise failure(self.run_dir, error, of.memory_settings) from error
        finally:
            with suppress(OSError):  # the last checkpoint flushed it; the first error is the cause
                self.metrics.close()
            of.close()
            self.run_dir.close()
        return self.run_dir.path

    def _loop(self, session: Session, watchdog: Watchdog) -> None:
        of = self.trainable
        is_saved = True
        reason = session.reason_to_end(of.updates)
        with closing(of.rows()) as rows:
            while not reason and (row := next(rows, None)) is not None:
                watchdog.beat()
                self.report.add(row)
                reason = session.reason_to_end(of.updates)
                is_saved = self._write_what_is_due()
        if not is_saved:
            self._save()
        if reason and of.done < of.total:
            self.run_dir.set_status("stopped", reason)
        else:
            self.run_dir.set_status("finished")

    def _write_what_is_due(self) -> bool:
        """Writes a checkpoint, or a row of metrics, where it is time; returns whether it saved."""
        now = time.monotonic()
        is_due = now - self._saved >= self.config.checkpoint_interval_seconds
        if is_due or self.trainable.passed_milestone:
            self._saved = self._logged = now
            self._save()
            return True
        if now - self._logged >= self.config.log_interval_seconds:
            self._logged = now
            self._write_row()
        return False

    def _write_row(self) -> None:
        if self.report.is_pending:
            row = self.report.take_row()
            self.metrics.write(row)
            self.track(row)
            self.shown.update(row)

    def _save(self) -> None:
        """Writes what is pending to the metrics, then a checkpoint that continues after it."""
        self._write_row()
        self.shown.doing("saving")
        self.metrics.flush()
        save_numbered(
            self.run_dir.checkpoints,
            self.trainable.updates,
            checkpoint_of(self.trainable, self.report),
            keep=self.config.keep_checkpoints,
            is_milestone=self.trainable.passed_milestone,
        )
        self.shown.doing("")

    def _dump(self, error: NonFiniteUpdate) -> str:
        """Saves the batch that was not finite and the weights that met it; returns where."""
        path = unused_path(self.run_dir.path / "nonfinite" / f"{error.update:012d}{SUFFIX}")
        try:
            save_checkpoint(path, {"batch": error.batch, "policy": self.trainable.weights()})
        except OSError as lost:
            return f"its batch could not be saved: {lost}; "
        return f"its batch and the weights that met it are in {path}; "


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
