"""Runs of agents: begun from settings, or gone on with from a folder."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from experiment import resume as run_on
from experiment import run
from experiment.session import SessionConfig
from models.cores import resolved


def train(config: TrainConfig, session: SessionConfig = run.DEFAULT_SESSION) -> Path:
    """Trains a new agent; see `experiment.run.begin`."""
    config = replace(config, core=resolved(config.core))  # numbers, whatever defaults become
    return run.begin(Trainer, config, session)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
) -> Path:
    """Goes on with the training of an agent; see `experiment.resume.resume`."""
    return run_on.resume(Trainer, path, session, given)
