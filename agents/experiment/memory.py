"""How much memory a run holds."""

import resource

import torch


def peak_memory_bytes(device: torch.device) -> int:
    """Returns the most memory held so far: the GPU's, or the process's where there is none."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
