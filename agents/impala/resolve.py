"""What settings come to on this machine and for this game: encoder, policy, arithmetic."""

from dataclasses import replace

import torch

from agents.impala.config import TrainConfig
from envs.spec import EnvSpec
from models.cores import CoreConfig, fitted, kernel_backend
from models.encoders import resolved
from models.policy import Policy, core_input_size


def settled(config: TrainConfig, spec: EnvSpec) -> TrainConfig:
    """Returns settings that name the encoder and the core's sizes, where they left them open.

    Raises:
        ValueError: no encoder fits the observations of `spec`, or no core core.parameters.
    """
    encoder = resolved(config.encoder, spec.observation_shape, spec.observation_dtype, spec.symbols)
    core = fitted(config.core, core_input_size(encoder.size, spec.num_actions, config.policy))
    return replace(config, encoder=encoder, core=core)


def make_policy(config: TrainConfig, spec: EnvSpec) -> Policy:
    """Returns the policy that `config` describes, for the observations and actions of `spec`."""
    return Policy(
        spec.observation_shape,
        spec.observation_dtype,
        spec.num_actions,
        config.encoder,
        config.core,
        config.policy,
        spec.symbols,
    )


def arithmetic(policy: Policy, core: CoreConfig, device: torch.device) -> dict[str, str | None]:
    """Returns what computes a policy on a device, as plain values: what `auto` stands for there.

    Raises:
        ValueError: the kernel that the core's settings name cannot run there.
    """
    return {
        "device": device.type,
        "encoder_precision": policy.encoder.arithmetic_on(device),
        "core_kernel": kernel_backend(core, device),
    }
