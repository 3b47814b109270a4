"""The LSTM recurrence on cuda tensors for hidden sizes that `gpu.py` refuses: cuDNN, stepped.

cuDNN cannot reset a row in mid-sequence, so that every step is a call of its own. It takes x and
not its projection: here W_ih is an identity matrix [4N, 4N]. As in `torch.nn.LSTM` on such
tensors, products are in TF32 unless `torch.backends.cudnn.allow_tf32` is False.
"""

import torch
from torch import Tensor

from .. import native
from ..dispatch import Bptt
from .cpu import MAX_HIDDEN_SIZE


def run(
    gates: Tensor,
    w_hh: Tensor,
    state_h: Tensor,
    state_c: Tensor,
    start: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps the LSTM that `torch.nn.LSTM` runs; arguments and results as in `lstm`."""
    weights = [torch.eye(gates.shape[-1], device=gates.device), w_hh]
    outputs = []
    for gates_B4N, start_B1 in zip(gates.float(), start[..., None], strict=True):
        if bptt == 1:
            state_h, state_c = state_h.detach(), state_c.detach()
        state_h, state_c = (x.masked_fill(start_B1, 0.0) for x in (state_h, state_c))
        states = [state_h[None], state_c[None]]
        # No biases, one layer, no dropout, training as its backward demands, one direction.
        options = (False, 1, 0.0, True, False, False)
        _, (state_h,), (state_c,) = torch.lstm(gates_B4N[None], states, weights, *options)
        outputs.append(state_h)
    return torch.stack(outputs).to(gates.dtype), state_h, state_c


def rejects(
    gates: Tensor, w_hh: Tensor, state_h: Tensor, state_c: Tensor, start: Tensor
) -> str | None:
    """Returns why cuDNN cannot take this call, or None."""
    if w_hh.shape[1] > MAX_HIDDEN_SIZE:
        return f"takes hidden sizes to {MAX_HIDDEN_SIZE}, got {w_hh.shape[1]}"
    return native.rejects_dtypes((gates,), (w_hh, state_h, state_c))
