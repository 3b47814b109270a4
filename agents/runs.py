"""Runs of agents: begun from settings, or gone on with from a folder."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import nn

from agents import plugins
from agents.impala.config import TrainConfig
from agents.impala.shown import RETURN_TAG
from agents.impala.trainer import Trainer
from envs.guest import MakeGuest
from experiment import resume as run_on
from experiment import run
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.ranks import ALONE, Ranks
from experiment.session import SessionConfig
from experiment.training_command import Training
from models.cores import refuse_unused, resolved


def train(
    config: TrainConfig,
    session: SessionConfig = run.DEFAULT_SESSION,
    ranks: Ranks = ALONE,
    *,
    core: type[nn.Module] | None = None,
    env: MakeGuest | None = None,
) -> Path:
    """Trains a new agent; see `experiment.resume.begin_or_go_on`.

    Args:
        config: every setting of the run.
        session: when to stop before its end.
        ranks: that train it together.
        core: class of a core of one's own; it takes the place of `config.core.kind`.
        env: makes one Gymnasium environment at every call; it takes the place of `config.game`.
            What is defined at the top of a file or module, command lines can name too.
    """
    if core is not None:
        config = replace(config, core=replace(config.core, kind=plugins.adopt(core)))
    if env is not None:
        config = replace(config, game=plugins.adopt(env))
    config = replace(config, core=resolved(config.core))  # numbers, whatever defaults become
    return run_on.begin_or_go_on(Trainer, config, session, ranks)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Goes on with the training of an agent; see `experiment.resume.resume`."""
    return run_on.resume(Trainer, path, session, given, ranks)


def refuse(config: TrainConfig, given: set[str]) -> None:
    """Raises ValueError where a command line says too little, or what its core has no use for."""
    refuse_unused(config.core.kind, given)
    if not {"game", "config"} & given:
        raise ValueError(
            f"train what? Name a game (--game Pong) or settings (--config configs/pong.yaml); "
            f"alone this would train {Trainer.title(config)} for {config.total_frames:,} frames "
            f"into {run.folder_of(Trainer, config)}"
        )


def score_of(path: Path) -> str | None:
    """Returns a line with the return of a run's last games; None before the first has ended."""
    row = newest_row(path / "metrics.jsonl") or {}
    score = row.get(RETURN_TAG)
    if score is None:
        return None
    done, seconds = row["frames"], duration(row["wall_seconds"])
    return f"return {score:.2f} over its last 100 games; {done:,} frames in {seconds}"


TRAINING = Training(kind=Trainer, train=train, score=score_of, refuse=refuse)
