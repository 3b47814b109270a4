"""Goes on with a run from its newest usable checkpoint, also with some settings changed.

What a run has done is counted, so that other sizes move none of its counts and rows. Which
settings may change is said at their fields (`setting_roles.py`).
"""

import logging
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

from experiment.checkpoint import Foreign, load_newest
from experiment.config import RunConfig
from experiment.progress import ProgressDisplay
from experiment.report import RunningReport
from experiment.run import DEFAULT_SESSION, Run, fitting, set_threads
from experiment.run_dir import RunDir, read_config
from experiment.session import SessionConfig
from experiment.setting_roles import Changes, changed, refuse_fixed, setting_roles
from experiment.settings import flat_values, plain_values, settings_from_values, with_values
from experiment.tracking import refuse_missing
from experiment.trainable import Trainable

logger = logging.getLogger(__name__)


def resume(
    kind: type[Trainable],
    path: Path,
    session: SessionConfig = DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
) -> Path:
    """Goes on with the run in a folder.

    Args:
        kind: what it trains.
        path: the run folder.
        session: when to stop before the run's end.
        given: nested values of settings that change; the others are those in config.yaml.

    Returns:
        The run folder.

    Raises:
        ValueError: it is no run folder, has no usable checkpoint, is being trained, or a setting
            cannot change so; nothing in it is changed.
    """
    settings = plain_values(settings_from_values(kind.Config, read_config(path)))
    config = settings_from_values(kind.Config, with_values(settings, given or {}))
    RunDir.refuse_without_checkpoint(path)
    run_dir = RunDir(path)
    with ProgressDisplay(kind.title(config), kind.unit, path) as shown:
        try:
            run, changes = _restored(kind, run_dir, config, shown)
        except BaseException:
            run_dir.close()  # its lock: the caller may try again, with what was missing
            raise
        return run.train(session, changes)


def _restored(
    kind: type[Trainable], run_dir: RunDir, config: RunConfig, shown: ProgressDisplay
) -> tuple[Run, Changes]:
    """Returns the run as its newest usable checkpoint left it, and what changes now."""
    refuse_missing(config.track)
    set_threads(config.num_threads)
    with closing(fitting(kind, kind.state_check, config)) as stand_in:

        def check(payload: Mapping[str, Any]) -> None:
            stand_in.check(payload, changes_since(payload, config))

        payload = load_newest(run_dir.checkpoints, check)
    changes = changes_since(payload, config)
    trainable: Trainable = fitting(
        kind, partial(kind.restored, config, payload["trainable"], payload["policy"]), changes
    )
    _tell(run_dir.path, trainable, changes)
    report = RunningReport(trainable, payload["seconds"])  # its clock leaves out the loading
    return Run(run_dir, trainable, report, shown), changes


def changes_since(payload: Mapping[str, Any], config: RunConfig) -> Changes:
    """Returns the settings that were others when a checkpoint was written.

    Raises:
        Foreign: as a predicate of the file; a run cannot go on with these settings.
        ValueError: likewise; the checkpoint holds no settings.
    """
    saved = payload.get("config")
    if not isinstance(saved, Mapping):
        raise ValueError("holds no run: it has no config")
    try:
        before = flat_values(plain_values(settings_from_values(type(config), saved)))
        changes = changed(before, flat_values(plain_values(config)))
        refuse_fixed(changes, setting_roles(type(config)))
    except ValueError as error:
        raise Foreign(f"was trained otherwise: {error}") from None
    return changes


def _tell(path: Path, trainable: Trainable, changes: Changes) -> None:
    """Says what changes, and whether anything is left to do."""
    done = f"{trainable.done:,} {trainable.unit}"
    if changes:
        texts = [f"{name} {of['to']} ({of['from']} before)" for name, of in changes.items()]
        logger.warning("%s goes on at %s with %s", path, done, ", ".join(texts))
    if trainable.done >= trainable.total:
        logger.warning("%s has its %s already: nothing is left to do", path, done)
