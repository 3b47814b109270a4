"""What the LSTM and the GRU share around their kernels."""

from typing import Any

import torch
from torch import Tensor

from . import triton_launch

MAX_HIDDEN_SIZE = 512
BLOCK = 256
"""Elements of a program of a Triton kernel."""


def rejects_hidden_size(w_hh: Tensor) -> str | None:
    """Returns why the C++ kernels cannot use a recurrent matrix [.., N], or None."""
    if 1 <= w_hh.shape[1] <= MAX_HIDDEN_SIZE:
        return None
    return f"takes hidden sizes 1 to {MAX_HIDDEN_SIZE}, got {w_hh.shape[1]}"


def launch_step(kernel: Any, *args: Any, t: int, T: int, state: Tensor, **constants: Any) -> None:
    """Launches a Triton kernel of one step over every element of a state [B, N]."""
    B, N = state.shape
    grid = (-(-B * N // BLOCK),)
    triton_launch.launch(kernel, grid, *args, t, T, B, N=N, BLOCK=BLOCK, num_warps=4, **constants)


def entered(state_h: Tensor, y: Tensor, start: Tensor) -> Tensor:
    """Returns the h [T, B, N] that entered every step, 0 where an episode starts.

    Args:
        state_h: [B, N] before step 0.
        y: [T, B, N] after every step.
        start: [T, B] bool.
    """
    return torch.cat((state_h[None], y[:-1])).masked_fill(start[..., None], 0.0)
