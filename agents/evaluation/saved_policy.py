"""A policy as a run saved it: its weights and everything training knew of its world."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from agents.experiment.checkpoint import load_checkpoint, load_newest, save_checkpoint
from agents.experiment.config_values import config_from_values
from agents.impala.config import TrainConfig
from agents.impala.trainer import make_policy
from envs.spec import EnvSpec
from models.policy import Policy

POLICY_PARTS = ("config", "spec", "policy", "progress")


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

    It computes with the kernel that fits this machine, whichever one trained it.

    Raises:
        ValueError: nothing usable is there, or its weights are of another policy.
    """
    payload = _policy_part(source)
    config = config_from_values(payload["config"])
    try:
        spec = _spec(payload["spec"])
        progress = {name: int(payload["progress"][name]) for name in ("updates", "frames")}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{source} holds no policy: {error!r}") from None
    here = replace(config, core=replace(config.core, kernel="auto"))
    try:
        with torch.device("meta"):  # sizes without memory: settings and weights must agree first
            make_policy(here, spec).load_state_dict(payload["policy"], assign=True)
        policy = make_policy(here, spec)
        policy.load_state_dict(payload["policy"])
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(
            f"{source} holds weights of another policy than its {config.core.kind} core and "
            f"{spec.num_actions} actions describe: {reason}"
        ) from None
    return SavedPolicy(policy.eval(), config, spec, progress["updates"], progress["frames"])


def _spec(values: Mapping[str, Any]) -> EnvSpec:
    """Returns the spec that a checkpoint describes."""
    spec = EnvSpec(**dict(values) | {"observation_shape": tuple(values["observation_shape"])})
    sizes = (*spec.observation_shape, spec.num_actions, spec.frame_skip)
    if any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"sizes must be counts, got {sizes}")
    if spec.observation_dtype not in ("uint8", "float32") or not isinstance(spec.game, str):
        raise ValueError(f"no such observations: {spec.game!r}, {spec.observation_dtype!r}")
    return spec


def owner_folder(source: Path) -> Path:
    """Returns the folder that results of a policy belong to: its run's, or the one it lies in."""
    folder = source if source.is_dir() else source.parent
    return folder.parent if folder.name == "checkpoints" else folder


def export_policy(source: Path, target: Path) -> None:
    """Writes the policy of a checkpoint without what only training needs."""
    save_checkpoint(target, _policy_part(source))


def _policy_part(source: Path) -> dict[str, Any]:
    """Reads what a policy needs from a run folder or a file.

    Raises:
        ValueError: nothing usable is there, or something is missing in it.
    """
    payload = load_newest(source / "checkpoints") if source.is_dir() else load_checkpoint(source)
    for name in POLICY_PARTS:
        if not isinstance(payload.get(name), Mapping):
            raise ValueError(f"{source} holds no policy: it has no {name}")
    return {name: payload[name] for name in POLICY_PARTS}
