"""A policy as a run saved it: its weights and everything training knew of its world."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from agents.impala.config import TrainConfig, config_from_values
from agents.impala.trainer import make_policy
from envs.spec import EnvSpec, spec_from_values
from experiment.checkpoint import load_checkpoint, load_newest, numbered, save_checkpoint
from experiment.files import read_json
from experiment.plugins import LOADED, warn_of_changes
from experiment.structure import check_like
from models.policy import Policy

POLICY_PARTS = ("config", "spec", "policy", "progress")
PROGRESS = {"updates": 0, "frames": 0}


@dataclass(frozen=True, slots=True)
class SavedPolicy:
    """A policy, the config that trained it, and how far it got."""

    policy: Policy
    config: TrainConfig
    spec: EnvSpec
    updates: int
    frames: int


def load_policy(source: Path) -> SavedPolicy:
    """Reads a policy from a run folder, a checkpoint, or a policy.safetensors.

    It computes with the kernel that fits this machine, whichever one trained it. Plugins that
    have changed since are told of.

    Raises:
        ValueError: nothing usable is there, or its weights are of another policy.
    """
    payload = _load(source)
    origin = owner_folder(source) / "provenance.json"
    if LOADED and origin.is_file():
        warn_of_changes(read_json(origin))
    config, spec = config_from_values(payload["config"]), spec_from_values(payload["spec"])
    policy = _make_policy_here(config, spec)
    policy.load_state_dict(payload["policy"])
    progress = payload["progress"]
    return SavedPolicy(policy.eval(), config, spec, progress["updates"], progress["frames"])


def export_policy(source: Path, target: Path) -> None:
    """Writes the policy of a checkpoint without what only training needs."""
    payload = _load(source)
    save_checkpoint(target, {name: payload[name] for name in POLICY_PARTS})


def owner_folder(source: Path) -> Path:
    """Returns the folder that results of a policy belong to: its run's, or the one it lies in."""
    folder = source if source.is_dir() else source.parent
    return folder.parent if folder.name == "checkpoints" else folder


def check_policy(payload: Mapping[str, Any]) -> None:
    """Raises ValueError, as a predicate of the file, where a checkpoint holds no usable policy.

    The policy is built without memory: settings and weights must agree before any is allocated.
    """
    for name in POLICY_PARTS:
        if not isinstance(payload.get(name), Mapping):
            raise ValueError(f"holds no policy: it has no {name}")
    try:
        check_like(payload["progress"], PROGRESS, "progress")
        config, spec = config_from_values(payload["config"]), spec_from_values(payload["spec"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"holds no policy: {error}") from None
    try:
        with torch.device("meta"), _Uninitialised():
            weights = _make_policy_here(config, spec).state_dict()
        check_like(payload["policy"], weights, "policy")
    except (RuntimeError, TypeError, ValueError) as error:
        raise ValueError(
            f"holds weights of another policy than its {config.encoder.kind} encoder, "
            f"{config.core.kind} core and {spec.num_actions} actions describe: {error}"
        ) from None


class _Uninitialised(TorchFunctionMode):
    """Makes modules without drawing their weights.

    On the meta device there is nothing to draw, and torch would load its compiler to do so.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what torch's function does, of `normal_` the tensor as it is."""
        named = kwargs or {}
        return named["tensor"] if func is nn.init.normal_ else func(*args, **named)


def _load(source: Path) -> dict[str, Any]:
    """Reads a file, or of a folder the newest usable checkpoint or else the policy as published.

    Raises:
        ValueError: nothing usable is there.
    """
    if not source.is_dir():
        return load_checkpoint(source, check_policy)
    if numbered(source / "checkpoints"):
        return load_newest(source / "checkpoints", check_policy)
    if not (source / "policy.safetensors").exists():
        raise ValueError(
            f"{source} has neither checkpoints nor a policy.safetensors; "
            "give a run folder that has, a checkpoint or a policy.safetensors"
        )
    return load_checkpoint(source / "policy.safetensors", check_policy)


def _make_policy_here(config: TrainConfig, spec: EnvSpec) -> Policy:
    return make_policy(replace(config, core=replace(config.core, kernel="auto")), spec)
