"""What settings come to on this machine and for this game: device, encoder, policy, arithmetic."""

from dataclasses import replace

import torch

from agents.impala.config import TrainConfig
from envs.spec import EnvSpec
from experiment.ranks import ALONE, Ranks
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


def choose_device(name: str, ranks: Ranks = ALONE) -> torch.device:
    """Returns the device that `name` ("auto", "cpu" or "cuda") stands for; each rank has its own.

    Raises:
        ValueError: CUDA is asked for where there is none, or not one for each rank.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, but torch sees no CUDA device; use cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cpu" or ranks.size == 1:
        return torch.device(name)
    refuse_missing_devices(name, ranks.local_rank + 1)
    torch.cuda.set_device(ranks.local_rank)
    return torch.device(name, ranks.local_rank)


def refuse_missing_devices(name: str, num_local_ranks: int) -> None:
    """Raises ValueError where this machine lacks a GPU for each of its ranks."""
    there = torch.cuda.device_count()
    if name != "cpu" and there and there < num_local_ranks:
        raise ValueError(
            f"device: {num_local_ranks} processes here want a GPU each, torch sees {there}; "
            f"use {there} processes a machine, or --device cpu"
        )
