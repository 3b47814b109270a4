"""Random streams: every one of a run is derived from the run's seed and a name of its own."""

import hashlib
from typing import Any

import numpy as np
import torch


def derive_seed(root: int, *path: str | int) -> int:
    """Returns the seed of a named stream, the same on every machine and Python version.

    Args:
        root: the run's seed, >= 0.
        *path: the stream's name, such as `"actor", 3`; 3 and "3" are different names.

    Returns:
        A seed in [0, 2**31), the range that envpool accepts.
    """
    digests = (hashlib.sha256(f"{type(part).__name__}:{part}".encode()).digest() for part in path)
    key = [int.from_bytes(digest[:4], "little") for digest in digests]
    words = np.random.SeedSequence(root, spawn_key=key).generate_state(1, np.uint32)
    return int(words[0] >> 1)


def seed_everything(seed: int) -> None:
    """Seeds torch's global streams, which initialise the weights."""
    torch.manual_seed(seed)


def random_state() -> dict[str, Any]:
    """Returns torch's global streams, of the CPU and of every CUDA device."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {"cpu": torch.get_rng_state(), "cuda": cuda}


def restore_random_state(state: dict[str, Any]) -> None:
    """Restores what `random_state` returned; streams of devices that are missing here are left."""
    torch.set_rng_state(state["cpu"])
    if torch.cuda.is_available():
        for device, stream in zip(range(torch.cuda.device_count()), state["cuda"], strict=False):
            torch.cuda.set_rng_state(stream, device)
