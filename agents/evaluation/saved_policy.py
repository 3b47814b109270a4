"""A policy as a run saved it: its weights and everything training knew of its world."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.experiment.checkpoint import load_checkpoint, load_newest, save_checkpoint
from agents.experiment.config_values import config_from_values
from agents.impala.config import TrainConfig
from agents.impala.trainer import make_policy
from envs.spec import EnvSpec
from models.policy import Policy


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """A policy, the config that trained it, and how far it got."""

    policy: Policy
    config: TrainConfig
    spec: EnvSpec
    updates: int
    frames: int


def load_policy(source: Path) -> SavedPolicy:
    """Reads a policy from a run folder (its newest checkpoint), a checkpoint, or a policy.pt.

    Raises:
        ValueError: nothing usable is there, or its weights are of another policy.
    """
    payload = load_newest(source / "checkpoints") if source.is_dir() else load_checkpoint(source)
    config = config_from_values(payload["config"])
    values = payload["spec"]
    spec = EnvSpec(**values | {"observation_shape": tuple(values["observation_shape"])})
    policy = make_policy(config, spec)
    try:
        policy.load_state_dict(payload["policy"])
    except RuntimeError as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{source} holds weights of another policy than its {config.core.kind} core and "
            f"{spec.num_actions} actions describe: {reason}"
        ) from None
    progress = payload["progress"]
    return SavedPolicy(policy.eval(), config, spec, progress["updates"], progress["frames"])


def export_policy(source: Path, target: Path) -> None:
    """Writes the policy of a checkpoint without what only training needs."""
    payload = load_newest(source / "checkpoints") if source.is_dir() else load_checkpoint(source)
    kept: dict[str, Any] = {k: payload[k] for k in ("config", "spec", "policy", "progress")}
    save_checkpoint(target, kept)
