"""How much memory a run holds."""

import resource
import sys

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """Returns the most memory held so far: the GPU's, or the process's where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, by the man pages of getrusage
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
