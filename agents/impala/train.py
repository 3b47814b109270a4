"""A training run from start, or from a checkpoint, to its end, in its run folder.

Order of events: one rollout is learned, its metrics are gathered; a row is written every
`log_interval_seconds`; a checkpoint every `checkpoint_interval_seconds`, at the end, and on the
signals that ask for a stop.
"""

import time
from dataclasses import asdict
from pathlib import Path

import torch

from agents.experiment.checkpoint import load_newest, save_numbered
from agents.experiment.config_values import config_from_values, config_values
from agents.experiment.metrics import MetricsWriter
from agents.experiment.progress import ProgressDisplay
from agents.experiment.run_dir import RunDir, read_config
from agents.experiment.stop_signals import StopRequest, stop_signals
from agents.impala.config import TrainConfig
from agents.impala.report import RunningReport
from agents.impala.trainer import Trainer


def train(config: TrainConfig, *, stop_after_updates: int | None = None) -> Path:
    """Trains a new agent.

    Args:
        config: every setting.
        stop_after_updates: end early; schedules still follow total_frames.

    Returns:
        The run folder.

    Raises:
        ValueError: a setting cannot work, or the run folder exists.
    """
    path = Path(config.run_dir or f"runs/{config.game}-{config.core.kind}-{config.seed}".lower())
    RunDir.refuse_used(path)
    _set_threads(config)
    trainer = Trainer(config)
    run_dir = RunDir.create(path, config_values(config))
    return _run(run_dir, trainer, RunningReport(), stop_after_updates)


def resume(path: Path, *, stop_after_updates: int | None = None) -> Path:
    """Continues the run in a folder from its newest usable checkpoint.

    Raises:
        ValueError: it is no run folder, has no usable checkpoint, or is being trained.
    """
    config = config_from_values(read_config(path))
    run_dir = RunDir(path)
    payload = load_newest(run_dir.checkpoints, read_config(path))
    _set_threads(config)
    trainer = Trainer(config, num_learned=payload["trainer"]["num_learned"])
    trainer.load_state_dict(payload["trainer"])
    report = RunningReport()
    report.load_state_dict(payload["report"])
    return _run(run_dir, trainer, report, stop_after_updates)


def _run(
    run_dir: RunDir, trainer: Trainer, report: RunningReport, stop_after_updates: int | None
) -> Path:
    metrics = MetricsWriter(run_dir.path, frames=trainer.frames)
    run_dir.set_status("running")
    try:
        with stop_signals() as stop, _display(trainer) as shown:
            _loop(run_dir, trainer, report, metrics, shown, stop, stop_after_updates)
    except BaseException as error:
        run_dir.set_status("failed", f"{type(error).__name__}: {error}")
        if isinstance(error, ValueError):  # no longer the user's: the settings were accepted
            raise RuntimeError(f"training failed: {error}") from error
        raise
    finally:
        metrics.close()
        trainer.close()
        run_dir.close()
    return run_dir.path


def _loop(
    run_dir: RunDir,
    trainer: Trainer,
    report: RunningReport,
    metrics: MetricsWriter,
    shown: ProgressDisplay,
    stop: StopRequest,
    stop_after_updates: int | None,
) -> None:
    config = trainer.config
    saved = logged = time.monotonic()
    rollouts = trainer.rollouts()
    stopped = _is_over(trainer, stop, stop_after_updates)
    while not stopped and (row := next(rollouts, None)) is not None:
        report.add(row, trainer)
        stopped = _is_over(trainer, stop, stop_after_updates)
        now = time.monotonic()
        if now - saved >= config.checkpoint_interval_seconds:
            saved = logged = now
            _save(run_dir, trainer, report, metrics, shown)
        elif now - logged >= config.log_interval_seconds:
            logged = now
            _write_row(metrics, report, trainer, shown)
    rollouts.close()
    _save(run_dir, trainer, report, metrics, shown)
    if stopped and trainer.num_learned < trainer.total_rollouts:
        run_dir.set_status("stopped", stop.signal_name or "--stop_after_updates")
    else:
        run_dir.set_status("finished")


def _display(trainer: Trainer) -> ProgressDisplay:
    title = f"{trainer.spec.game} {trainer.config.core.kind}"
    return ProgressDisplay(title, trainer.frames, trainer.config.total_frames)


def _is_over(trainer: Trainer, stop: StopRequest, stop_after_updates: int | None) -> bool:
    enough = stop_after_updates is not None and trainer.learner.version >= stop_after_updates
    return enough or stop.signal_name is not None


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
    keep = trainer.config.keep_checkpoints
    save_numbered(run_dir.checkpoints, trainer.learner.version, payload, keep=keep)


def _set_threads(config: TrainConfig) -> None:
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
