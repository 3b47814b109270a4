"""Goes on with a run from its newest usable checkpoint, also with some settings changed.

What a run has done is counted, so that other sizes move none of its counts and rows. Which
settings may change is said at their fields (`setting_roles.py`).
"""

import logging
from collections.abc import Mapping
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from experiment.checkpoint import Foreign, load_newest
from experiment.config import RunConfig
from experiment.progress import ProgressDisplay
from experiment.provenance import origin_of_code
from experiment.ranks import ALONE, Ranks
from experiment.report import RunningReport
from experiment.run import DEFAULT_SESSION, Run, begin, display, fitting, set_threads
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
    ranks: Ranks = ALONE,
) -> Path:
    """Goes on with the run in a folder.

    Args:
        kind: what it trains.
        path: the run folder.
        session: when to stop before the run's end.
        given: nested values of settings that change; the others are those in config.yaml.
        ranks: that go on together, all called with the same; the first one reads the folder.

    Returns:
        The run folder.

    Raises:
        ValueError: it is no run folder, has no usable checkpoint, is being trained, or a setting
            cannot change so; nothing in it is changed.
    """
    ranks.refuse_differences(lambda: flat_values(origin_of_code() | dict(given or {})))
    opened = ranks.on_first(partial(_opened, kind, path, given or {}))
    run_dir, config = opened or (None, None)

    def standing() -> Standing:
        assert opened is not None
        return _standing(kind, *opened)

    with ExitStack() as held:
        if run_dir is not None:
            held.callback(run_dir.close)  # its lock: the caller may try again, with what missed
        shown = held.enter_context(display(kind, ranks.from_first(config), path, ranks))
        found = ranks.from_first(ranks.on_first(standing))
        run, changes = _restored(kind, run_dir, found, shown, ranks)
        run.train(session, changes)
    return path


def begin_or_go_on(
    kind: type[Trainable],
    config: RunConfig,
    session: SessionConfig = DEFAULT_SESSION,
    ranks: Ranks = ALONE,
) -> Path:
    """Begins a run, or goes on with it where torchrun starts its processes again; see `begin`."""
    begun = ranks.from_first(begun_by_this_launch(kind, config))
    if begun is not None:
        return resume(kind, begun, session, ranks=ranks)
    return begin(kind, config, session, ranks)


def begun_by_this_launch(kind: type[Trainable], config: RunConfig) -> Path | None:
    """Returns the folder of the run that an earlier try of this launch by torchrun began."""
    name = Path(config.run_dir or Path("runs") / kind.run_name(config))
    folders = [name] if config.run_dir else sorted(name.parent.glob(f"{name.name}*"))
    return next((path for path in folders if RunDir.is_begun_by_this_launch(path)), None)


class Standing(NamedTuple):
    """Where a run stands."""

    config: RunConfig  # its settings now
    payload: dict[str, Any]  # of its newest usable checkpoint
    changes: Changes  # settings that were others then


def _opened(
    kind: type[Trainable], path: Path, given: Mapping[str, Any]
) -> tuple[RunDir, RunConfig]:
    """Returns a run's folder, locked, and its settings now."""
    settings = plain_values(settings_from_values(kind.Config, read_config(path)))
    config = settings_from_values(kind.Config, with_values(settings, given))
    RunDir.refuse_without_checkpoint(path)
    return RunDir(path), config


def _standing(kind: type[Trainable], run_dir: RunDir, config: RunConfig) -> Standing:
    """Returns where a run stands that goes on with these settings."""
    refuse_missing(config.track)
    set_threads(config.num_threads)
    with closing(fitting(kind, kind.state_check, config)) as stand_in:

        def check(payload: Mapping[str, Any]) -> None:
            stand_in.check(payload, changes_since(payload, config))

        payload = load_newest(run_dir.checkpoints, check)
    return Standing(config, payload, changes_since(payload, config))


def _restored(
    kind: type[Trainable],
    run_dir: RunDir | None,
    standing: Standing,
    shown: ProgressDisplay | None,
    ranks: Ranks,
) -> tuple[Run, Changes]:
    """Returns the run as its newest usable checkpoint left it, and what changes now."""
    config, payload, changes = standing
    set_threads(config.num_threads)
    restored = partial(kind.restored, config, payload["trainable"], payload["policy"], ranks=ranks)
    trainable: Trainable = fitting(kind, restored, changes)
    _refuse_less(trainable, changes)
    if run_dir is not None:
        _tell(run_dir.path, trainable, changes)
    report = RunningReport(trainable, payload["seconds"], ranks)  # its clock leaves out the loading
    return Run(run_dir, trainable, report, shown, ranks), changes


def _refuse_less(trainable: Trainable, changes: Changes) -> None:
    """Raises ValueError where a run is to be shorter than it is."""
    total, done = f"total_{trainable.unit}", trainable.done
    if total in changes and trainable.total < done:
        trainable.close()
        raise ValueError(
            f"{total} cannot become {trainable.total}: {done} {trainable.unit} are done"
        )


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
