"""What compiled kernels take: dtypes and sizes."""

from collections.abc import Sequence

import torch
from torch import Tensor

DTYPES = (torch.float32, torch.bfloat16)
MIN_SIZE = 8
MAX_SIZE = 128


def rejects_dtypes(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> str | None:
    """Returns which tensor has a dtype that the kernels do not take, or None."""
    for x in inputs:
        if x.dtype not in DTYPES:
            return f"takes float32 or bfloat16, got {x.dtype}"
    for x in states:
        if x.dtype != torch.float32:
            return f"takes a float32 state, got {x.dtype}"
    return None


def rejects_head_sizes(*sizes: int) -> str | None:
    """Returns why these key or value sizes cannot be used, or None."""
    for size in sizes:
        if not MIN_SIZE <= size <= MAX_SIZE:
            return f"takes head sizes {MIN_SIZE} to {MAX_SIZE}, got {size}"
    return None
