"""Runs of agents: begun from settings, or gone on with from a folder."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from agents import plugins
from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from envs.guest import MakeGuest
from experiment import resume as run_on
from experiment import run
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.run_dir import read_status
from experiment.session import SessionConfig
from models.cores import resolved


def train(
    config: TrainConfig,
    session: SessionConfig = run.DEFAULT_SESSION,
    *,
    core: type[nn.Module] | None = None,
    env: MakeGuest | None = None,
) -> Path:
    """Trains a new agent; see `experiment.run.begin`.

    Args:
        config: every setting of the run.
        session: when to stop before its end.
        core: class of a core of one's own; it takes the place of `config.core.kind`.
        env: makes one Gymnasium environment at every call; it takes the place of `config.game`.
            What is defined at the top of a file or module, command lines can name too.
    """
    if core is not None:
        config = replace(config, core=replace(config.core, kind=plugins.adopt(core)))
    if env is not None:
        config = replace(config, game=plugins.adopt(env))
    config = replace(config, core=resolved(config.core))  # numbers, whatever defaults become
    return run.begin(Trainer, config, session)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
) -> Path:
    """Goes on with the training of an agent; see `experiment.resume.resume`."""
    return run_on.resume(Trainer, path, session, given)


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
