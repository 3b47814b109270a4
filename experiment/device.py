"""Where a run computes, and torch's own random stream there."""

from typing import Any

import torch
from torch import Tensor

from experiment.ranks import ALONE, Ranks

STREAM_BYTES = (5056, 16)
"""Size of the state of torch's random streams on a CPU and on a GPU."""


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


def random_state(device: torch.device) -> Tensor:
    """Returns the state of the stream that dropout draws from: bytes, on the CPU."""
    return torch.cuda.get_rng_state(device) if device.type == "cuda" else torch.get_rng_state()


def set_random_state(device: torch.device, state: Tensor) -> None:
    """Restores what `random_state` returned on a device of the same type."""
    if device.type == "cuda":
        torch.cuda.set_rng_state(state, device)
    else:
        torch.set_rng_state(state)


def check_random_state(state: Any, at: str) -> None:
    """Raises ValueError, naming the place, where this is no stream's state, of whichever device."""
    is_bytes = isinstance(state, Tensor) and state.dtype == torch.uint8
    if not is_bytes or state.dim() != 1 or len(state) not in STREAM_BYTES:
        raise ValueError(f"{at} is no state of a random stream")
