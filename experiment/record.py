"""What the first rank writes of a run: rows of metrics, checkpoints, and how it ended."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from experiment.checkpoint import SUFFIX, save_checkpoint, save_numbered
from experiment.config import RunConfig
from experiment.failure import end_process, failure
from experiment.files import unused_path
from experiment.metrics import MetricsWriter
from experiment.nonfinite import NonFiniteUpdate
from experiment.progress import ProgressDisplay
from experiment.run_dir import RunDir
from experiment.setting_roles import Changes
from experiment.settings import flat_values, plain_values
from experiment.tracking import tracking
from experiment.trainable import Trainable


class Record:
    """A run's folder while it is written to.

    Args:
        run_dir: the folder; closed with this.
        trainable: what learns.
        shown: its display.
    """

    def __init__(self, run_dir: RunDir, trainable: Trainable, shown: ProgressDisplay) -> None:
        self._run_dir = run_dir
        self._trainable = trainable
        self._config: RunConfig = trainable.config
        self._metrics = MetricsWriter(run_dir.path, trainable.unit, trainable.done)
        self._shown = shown

    @property
    def give_up(self) -> Callable[[str], None]:
        """Ends the process, with a cause, whatever its other threads do."""
        return partial(end_process, self._run_dir)

    @contextmanager
    def session(self, num_ranks: int, changes: Changes) -> Iterator[None]:
        """Records a session while the `with` block runs, and what ends it.

        Args:
            num_ranks: processes that train.
            changes: settings that were others before the session.
        """
        of, run_dir = self._trainable, self._run_dir
        settings = flat_values(plain_values(self._config))
        try:
            run_dir.record_session(of.unit, of.done, of.arithmetic, num_ranks, changes, of.origin)
            run_dir.change_config(plain_values(self._config))  # from what any session made of it
            self._metrics.describe(self._config, of.shown[0][0])
            run_dir.set_status("running")
            with tracking(self._config.track, run_dir.path, of.unit, settings) as self._track:
                self._shown.begin(of.done, of.total, of.shown)
                yield
        except NonFiniteUpdate as error:
            raise failure(run_dir, error, of.memory_settings, self._dump(error)) from error
        except BaseException as error:
            raise failure(run_dir, error, of.memory_settings) from error
        finally:
            with suppress(OSError):  # the last checkpoint flushed it; the first error is the cause
                self._metrics.close()
            run_dir.close()

    def write_row(self, row: dict[str, Any]) -> None:
        """Appends a row of metrics and shows it."""
        self._metrics.write(row)
        self._track(row)
        self._shown.update(row)

    def save(self, payload: Mapping[str, Any]) -> None:
        """Writes a checkpoint that continues after the last row."""
        self._shown.doing("saving")
        self._metrics.flush()
        save_numbered(
            self._run_dir.checkpoints,
            self._trainable.updates,
            dict(payload),
            keep=self._config.keep_checkpoints,
            is_milestone=self._trainable.passed_milestone,
        )
        self._shown.doing("")

    def end(self, reason: str | None) -> None:
        """Records that the session ended well: by `reason`, or with the run."""
        if reason and self._trainable.done < self._trainable.total:
            self._run_dir.set_status("stopped", reason)
        else:
            self._run_dir.set_status("finished")

    def _dump(self, error: NonFiniteUpdate) -> str:
        """Saves the batch that was not finite and the weights that met it; returns where."""
        path = unused_path(self._run_dir.path / "nonfinite" / f"{error.update:012d}{SUFFIX}")
        try:
            save_checkpoint(path, {"batch": error.batch, "policy": self._trainable.weights()})
        except (OSError, ValueError, MemoryError, RuntimeError) as lost:  # the update is the cause
            return f"its batch could not be saved: {lost or type(lost).__name__}; "
        return f"its batch and the weights that met it are in {path}; "
