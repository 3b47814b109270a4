"""Runs of agents: begun from settings, or gone on with from a folder."""

import logging
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from agents import plugins
from agents.impala.config import TrainConfig, config_from_values
from agents.impala.crews import refuse_uneven
from agents.impala.resolve import refuse_missing_devices
from agents.impala.trainer import Trainer
from envs.guest import MakeGuest
from experiment import resume as run_on
from experiment import run
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.ranks import ALONE, Ranks
from experiment.run_dir import read_config, read_status
from experiment.session import SessionConfig
from experiment.settings import with_values
from models.cores import resolved

logger = logging.getLogger(__name__)


def train(
    config: TrainConfig,
    session: SessionConfig = run.DEFAULT_SESSION,
    *,
    core: type[nn.Module] | None = None,
    env: MakeGuest | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Trains a new agent; see `experiment.resume.begin_or_go_on`.

    Args:
        config: every setting of the run.
        session: when to stop before its end.
        core: class of a core of one's own; it takes the place of `config.core.kind`.
        env: makes one Gymnasium environment at every call; it takes the place of `config.game`.
            What is defined at the top of a file or module, command lines can name too.
        ranks: that train it together.
    """
    if core is not None:
        config = replace(config, core=replace(config.core, kind=plugins.adopt(core)))
    if env is not None:
        config = replace(config, game=plugins.adopt(env))
    config = replace(config, core=resolved(config.core))  # numbers, whatever defaults become
    return run_on.begin_or_go_on(Trainer, config, session, ranks)


def begun_folder(config: TrainConfig) -> Path | None:
    """Returns the named folder of a run where it holds one: a scheduler repeats its command."""
    if config.run_dir is None or not (Path(config.run_dir) / "config.yaml").exists():
        return None
    logger.warning("%s holds a run: it goes on with the settings in its config", config.run_dir)
    return Path(config.run_dir)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Goes on with the training of an agent; see `experiment.resume.resume`."""
    return run_on.resume(Trainer, path, session, given, ranks)


def train_in_processes(
    number: int, folder: Path | None, values: Mapping[str, Any], arguments: Sequence[str]
) -> tuple[int, Path]:
    """Trains an agent in several processes of this machine.

    Args:
        number: of processes.
        folder: run folder to go on with; None begins a run.
        values: its settings, or those that change.
        arguments: of `run_atari.py`, for every process.

    Returns:
        The exit code of `launch`, and the run folder.

    Raises:
        ValueError: a setting cannot work with this number; nothing is started.
    """
    from experiment.launch import launch  # takes a while to import

    saved = {} if folder is None else read_config(folder)
    config = config_from_values(with_values(saved, values))
    refuse_uneven(config, number)
    refuse_missing_devices(config.device, number)
    path = folder or run.folder_of(Trainer, config)
    return launch(number, arguments), path


def refuse_unnamed(config: TrainConfig, given: Collection[str]) -> None:
    """Raises ValueError where a command line names neither a game nor a file of settings."""
    if not {"game", "config"} & set(given):
        raise ValueError(
            f"train what? Name a game (--game Pong) or settings (--config configs/pong.yaml); "
            f"alone this would train {Trainer.title(config)} for {config.total_frames:,} frames "
            f"into {run.folder_of(Trainer, config)}"
        )


def what_next(path: Path) -> str:
    """Returns how a run stands, its folder, and the command that follows."""
    row = newest_row(path / "metrics.jsonl") or {}
    lines = []
    if (score := row.get("return/last_100_games_points")) is not None:
        done, seconds = row["frames"], duration(row["wall_seconds"])
        lines.append(f"return {score:.2f} over its last 100 games; {done:,} frames in {seconds}")
    is_finished = read_status(path)["status"] == "finished"
    command = f"evaluate {path}" if is_finished else f"train --resume {path}"
    lines += [f"run folder: {path}", f"next: python run_atari.py {command}"]
    return "\n".join(lines)
