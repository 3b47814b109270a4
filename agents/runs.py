"""Runs of agents: begun from settings, or gone on with from a folder."""

from dataclasses import replace
from pathlib import Path

from torch import nn

from agents import plugins
from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from envs.guest import MakeGuest
from experiment import run
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


def resume(path: Path, session: SessionConfig = run.DEFAULT_SESSION) -> Path:
    """Continues the training of an agent; see `experiment.run.resume`."""
    return run.resume(Trainer, path, session)
