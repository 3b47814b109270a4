"""Runs of agents: begun from settings, or gone on with from a folder."""

from collections.abc import Mapping
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
