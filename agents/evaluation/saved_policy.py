"""A policy as a run saved it: its weights and everything training knew of its world."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agents.impala.config import TrainConfig, config_from_values
from envs.spec import EnvSpec, spec_from_values
from experiment.checkpoint import load_checkpoint, load_newest, numbered, save_checkpoint
from experiment.files import read_json
from experiment.plugins import LOADED, warn_of_changes
from experiment.result_folder import owner_folder
from experiment.structure import check_like
from models import load
from models.policy import Policy

POLICY_PARTS = ("config", "spec", "policy", "progress")
MAX_LISTED = 8  # runs that a message names
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
    policy = load.policy_from_values(payload, payload["policy"])
    config, spec = config_from_values(payload["config"]), spec_from_values(payload["spec"])
    progress = payload["progress"]
    return SavedPolicy(policy, config, spec, progress["updates"], progress["frames"])


def export_policy(source: Path, target: Path) -> None:
    """Writes the policy of a checkpoint without what only training needs, in half precision.

    Of three published policies on Pong two played the same 30 games with half as with single
    precision, to the last point, and the third scored 20.2 where it had 20.0 +- 0.2.
    """
    payload = _load(source)
    half = {
        name: weight.half() if weight.is_floating_point() else weight
        for name, weight in payload["policy"].items()
    }
    save_checkpoint(target, {name: payload[name] for name in POLICY_PARTS} | {"policy": half})


def check_policy(payload: Mapping[str, Any]) -> None:
    """Raises ValueError, as a predicate of the file, where a checkpoint holds no usable policy."""
    for name in POLICY_PARTS:
        if not isinstance(payload.get(name), Mapping):
            raise ValueError(f"holds no policy: it has no {name}")
    try:
        check_like(payload["progress"], PROGRESS, "progress")
        config_from_values(payload["config"])
        spec_from_values(payload["spec"])
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"holds no policy: {error}") from None
    load.check_policy(payload, payload["policy"])


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
            "give a run folder that has, a checkpoint or a policy.safetensors" + _runs_in(source)
        )
    return load_checkpoint(source / "policy.safetensors", check_policy)


def _runs_in(folder: Path) -> str:
    """Returns which runs lie in a folder, at most a task and a core deep."""
    marks = ("config.yaml", "policy.safetensors")
    depths = ("*", "*/*", "*/*/*")
    found = {f.parent for depth in depths for mark in marks for f in folder.glob(f"{depth}/{mark}")}
    if not found:
        return ""
    names = [str(path) for path in sorted(found)[:MAX_LISTED]]
    return f"; runs in it: {', '.join(names)}" + (", ..." if len(found) > MAX_LISTED else "")
