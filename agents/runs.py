"""Runs of agents: begun from settings, or gone on with from a folder."""

from dataclasses import replace
from pathlib import Path

from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from experiment import run
from experiment.session import SessionConfig
from models.cores import resolved


def train(config: TrainConfig, session: SessionConfig = run.DEFAULT_SESSION) -> Path:
    """Trains a new agent; see `experiment.run.begin`."""
    config = replace(config, core=resolved(config.core))  # numbers, whatever defaults become
    return run.begin(Trainer, config, session)


def resume(path: Path, session: SessionConfig = run.DEFAULT_SESSION) -> Path:
    """Continues the training of an agent; see `experiment.run.resume`."""
    return run.resume(Trainer, path, session)
