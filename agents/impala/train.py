"""A training run from start, or from a checkpoint, to its end, in its run folder.

Order of events: one rollout is learned, its metrics are gathered; a row is written every
`log_interval_seconds`; a checkpoint every `checkpoint_interval_seconds`, at milestones, and at the
end of the session, whatever ended it.
"""

import logging
import time
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from agents.impala.config import TrainConfig
from agents.impala.nonfinite import NonFiniteUpdate
from agents.impala.report import RunningReport
from agents.impala.stand_in import StandIn
from agents.impala.trainer import Trainer
from experiment.checkpoint import load_newest, save_checkpoint, save_numbered
from experiment.config_values import config_from_values, config_values, flat_values
from experiment.failure import cause, end_process, failure, out_of_memory
from experiment.metrics import MetricsWriter
from experiment.progress import ProgressDisplay
from experiment.run_dir import RunDir, read_config
from experiment.session import Session, SessionConfig
from experiment.stop_signals import stop_signals
from experiment.watchdog import Watchdog
from models.cores import resolved

logger = logging.getLogger(__name__)

DEFAULT_SESSION = SessionConfig()
Made = TypeVar("Made")


def train(config: TrainConfig, session: SessionConfig = DEFAULT_SESSION) -> Path:
    """Trains a new agent.

    Args:
        config: every setting of the run.
        session: when to stop before its end.

    Returns:
        The run folder.

    Raises:
        ValueError: a setting cannot work, or the run folder exists.
    """
    config = replace(config, core=resolved(config.core))
    path = Path(config.run_dir or f"runs/{config.game}-{config.core.kind}-{config.seed}".lower())
    RunDir.refuse_used(path)
    set_threads(config)
    trainer = _make_trainer(config)
    run_dir = RunDir.create(path, config_values(config))
    return _run(run_dir, trainer, RunningReport(), session)


def resume(path: Path, session: SessionConfig = DEFAULT_SESSION) -> Path:
    """Continues the run in a folder from its newest usable checkpoint.

    A run that was killed before its first checkpoint begins anew from its settings.

    Raises:
        ValueError: it is no run folder, has no usable checkpoint, or is being trained.
    """
    config = config_from_values(read_config(path))
    run_dir = RunDir(path)
    set_threads(config)
    if not run_dir.has_checkpoint:
        logger.warning("%s has no checkpoint yet: it begins anew from its config.yaml", path)
        return _run(run_dir, _make_trainer(config), RunningReport(), session)
    trainer, report = _restored(run_dir, config)
    if trainer.num_learned >= trainer.total_rollouts:
        logger.warning("%s has its %d frames already: nothing is left to do", path, trainer.frames)
    return _run(run_dir, trainer, report, session)


def _restored(run_dir: RunDir, config: TrainConfig) -> tuple[Trainer, RunningReport]:
    """Returns trainer and report as they were at the newest usable checkpoint."""
    with closing(_fitting(StandIn, config)) as stand_in:
        payload = load_newest(run_dir.checkpoints, stand_in.check, read_config(run_dir.path))
    trainer = _make_trainer(config, num_learned=payload["trainer"]["num_learned"])
    trainer.load_state_dict(payload["trainer"])
    report = RunningReport()  # its clock starts where that of a new run does
    report.load_state_dict(payload["report"])
    return trainer, report


def _make_trainer(config: TrainConfig, num_learned: int = 0) -> Trainer:
    return _fitting(partial(Trainer, num_learned=num_learned), config)


def _fitting(make: Callable[[TrainConfig], Made], config: TrainConfig) -> Made:
    """Returns what is made of settings.

    Raises:
        ValueError: a setting cannot work, or asks for more memory than there is.
    """
    try:
        return make(config)
    except (MemoryError, RuntimeError) as error:
        if out_of_memory(error):
            raise ValueError(cause(error)) from error
        raise


def _run(run_dir: RunDir, trainer: Trainer, report: RunningReport, session: SessionConfig) -> Path:
    run_dir.record_session(trainer.frames, trainer.arithmetic)
    metrics = MetricsWriter(run_dir.path, frames=trainer.frames)
    metrics.describe(flat_values(config_values(trainer.config)))
    run_dir.set_status("running")
    watchdog = Watchdog(session.stall_seconds, partial(end_process, run_dir))
    try:
        with stop_signals() as stop, _display(trainer) as shown, watchdog:
            _loop(run_dir, trainer, report, metrics, shown, Session(session, stop), watchdog)
    except NonFiniteUpdate as error:
        raise failure(run_dir, error, _dump(run_dir, trainer, error)) from error
    except BaseException as error:
        raise failure(run_dir, error) from error
    finally:
        with suppress(OSError):  # the last checkpoint flushed it; the first error is the cause
            metrics.close()
        trainer.close()
        run_dir.close()
    return run_dir.path


def _dump(run_dir: RunDir, trainer: Trainer, error: NonFiniteUpdate) -> str:
    """Saves the batch that was not finite and the weights that met it; returns where."""
    path = run_dir.path / "nonfinite" / f"{error.update:012d}.ckpt"
    payload = {"batch": error.batch_values(), "policy": trainer.policy.state_dict()}
    try:
        save_checkpoint(path, payload)
    except OSError as lost:
        return f"its batch could not be saved: {lost}; "
    return f"its batch and the weights that met it are in {path}; "


def _loop(
    run_dir: RunDir,
    trainer: Trainer,
    report: RunningReport,
    metrics: MetricsWriter,
    shown: ProgressDisplay,
    session: Session,
    watchdog: Watchdog,
) -> None:
    config = trainer.config
    saved = logged = time.monotonic()
    reason = session.reason_to_end(trainer.learner.version)
    with closing(trainer.rollouts()) as rollouts:
        while not reason and (row := next(rollouts, None)) is not None:
            watchdog.beat()
            report.add(row, trainer)
            reason = session.reason_to_end(trainer.learner.version)
            now = time.monotonic()
            if _is_milestone(trainer) or now - saved >= config.checkpoint_interval_seconds:
                saved = logged = now
                _save(run_dir, trainer, report, metrics, shown)
            elif now - logged >= config.log_interval_seconds:
                logged = now
                _write_row(metrics, report, trainer, shown)
    _save(run_dir, trainer, report, metrics, shown)
    if reason and trainer.num_learned < trainer.total_rollouts:
        run_dir.set_status("stopped", reason)
    else:
        run_dir.set_status("finished")


def _display(trainer: Trainer) -> ProgressDisplay:
    title = f"{trainer.spec.game} {trainer.config.core.kind}"
    return ProgressDisplay(title, trainer.frames, trainer.config.total_frames)


def _is_milestone(trainer: Trainer) -> bool:
    """Whether the last rollout brought the frames to, or over, a multiple of the interval."""
    interval = trainer.config.milestone_interval_frames
    if interval is None:
        return False
    before = max(0, trainer.frames - trainer.frames_per_rollout)
    return trainer.frames // interval > before // interval


def _write_row(
    metrics: MetricsWriter, report: RunningReport, trainer: Trainer, shown: ProgressDisplay
) -> None:
    if report.is_pending:
        row = report.take_row(trainer)
        metrics.write(row)
        shown.update(row)


def _save(
    run_dir: RunDir,
    trainer: Trainer,
    report: RunningReport,
    metrics: MetricsWriter,
    shown: ProgressDisplay,
) -> None:
    """Writes what is pending to the metrics, then a checkpoint that continues after it."""
    _write_row(metrics, report, trainer, shown)
    metrics.flush()
    payload = {
        "config": config_values(trainer.config),
        "spec": asdict(trainer.spec) | {"observation_shape": list(trainer.spec.observation_shape)},
        "policy": trainer.policy.state_dict(),
        "progress": {"frames": trainer.frames, "updates": trainer.learner.version},
        "trainer": trainer.state_dict(),
        "report": report.state_dict(),
    }
    save_numbered(
        run_dir.checkpoints,
        trainer.learner.version,
        payload,
        keep=trainer.config.keep_checkpoints,
        is_milestone=_is_milestone(trainer),
    )


def set_threads(config: TrainConfig) -> None:
    """Gives torch the number of threads that the settings ask for."""
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
