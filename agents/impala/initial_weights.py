"""Begins a policy with the weights of another one, trained on this or another game."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.evaluation.saved_policy import load_policy
from agents.impala.config import TrainConfig
from experiment.setting_roles import changed
from experiment.settings import flat_values, plain_values
from models.cores import resolved
from models.policy import Policy

HEADS = ("policy_head.", "value_head.")


def take_weights(policy: Policy, config: TrainConfig, source: Path) -> dict[str, Any]:
    """Gives a new policy the encoder and core of a saved one, and its heads where they fit.

    Args:
        policy: is changed in place.
        config: that it was made from.
        source: run folder, checkpoint or policy.safetensors.

    Returns:
        Where the weights came from, as plain values; `drawn` names those that were not taken.

    Raises:
        ValueError: no policy is there, or it has another encoder or core, or sees other things.
    """
    saved = load_policy(source)
    of = f"init_from {source}"
    if differ := changed(_decisive(saved.config), _decisive(config)):
        texts = (f"{name} {values['from']}, not {values['to']}" for name, values in differ.items())
        raise ValueError(f"{of} has {'; '.join(texts)}: this run must have the same")
    there, here = saved.policy.state_dict(), policy.state_dict()
    anew = HEADS if saved.spec.num_actions != policy.num_actions else ()
    taken = {name: weight for name, weight in there.items() if not name.startswith(anew)}
    for name, weight in taken.items():
        if name not in here or here[name].shape != weight.shape:
            shape = list(here[name].shape) if name in here else "no such weights"
            sees_actions = config.policy.last_action and anew
            other = "actions, the last of which it sees" if sees_actions else "observations"
            raise ValueError(
                f"{of} was trained with other {other}: {name} is {list(weight.shape)}, this run "
                f"has {shape}"
            )
    policy.load_state_dict(here | taken)
    return {
        "source": str(source),
        "game": saved.spec.game,
        "frames": saved.frames,
        "updates": saved.updates,
        "drawn": sorted(here.keys() - taken.keys()),
    }


def _decisive(config: TrainConfig) -> dict[str, Any]:
    """Returns the settings that decide the shapes of all but the heads, and what they compute."""
    core = replace(resolved(config.core), kernel="auto", bptt="full", parameters=None)
    encoder = {"kind": config.encoder.kind, "size": config.encoder.size}
    policy = plain_values(replace(config.policy, head_gain=None))
    return flat_values({"encoder": encoder, "core": plain_values(core), "policy": policy})
