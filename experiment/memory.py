"""How much memory a run holds."""

import resource
import sys

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """Returns the most memory held so far: the GPU's, or the process's where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return peak_resident_bytes(resource.RUSAGE_SELF)


def peak_resident_bytes(who: int) -> int:
    """Returns the most memory that this process, or any of its ended children, held so far.

    Args:
        who: `resource.RUSAGE_SELF` or `resource.RUSAGE_CHILDREN`.
    """
    unit = 1 if sys.platform == "darwin" else 1024  # bytes, by the man pages of getrusage
    return resource.getrusage(who).ru_maxrss * unit
