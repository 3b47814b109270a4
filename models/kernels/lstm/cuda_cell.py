"""The LSTM recurrence on cuda tensors for hidden sizes that `gpu.py` refuses: a loop of steps.

A step is a product with W_hh and torch's fused cell, the one that `torch.nn.LSTMCell` runs.
cuDNN is no choice here: it takes x and not its projection, so that it would need an identity
matrix of [4N, 4N] for W_ih, four times the work of W_hh and in TF32 by default.
"""

import torch
from torch import Tensor

from models.kernels import native
from models.kernels.dispatch import Bptt


def run(
    gates: Tensor,
    w_hh: Tensor,
    state_h: Tensor,
    state_c: Tensor,
    start: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor, Tensor]:
    """Steps torch's fused cell; arguments and results as in `lstm`."""
    outputs = []
    for gates_t, start_t in zip(gates.float(), start[..., None], strict=True):
        if bptt == 1:
            state_h, state_c = state_h.detach(), state_c.detach()
        state_h, state_c = (x.masked_fill(start_t, 0.0) for x in (state_h, state_c))
        state_h, state_c, _ = torch.ops.aten._thnn_fused_lstm_cell(
            gates_t, state_h @ w_hh.mT, state_c
        )
        outputs.append(state_h)
    return torch.stack(outputs).to(gates.dtype), state_h, state_c


def rejects(
    gates: Tensor, w_hh: Tensor, state_h: Tensor, state_c: Tensor, start: Tensor
) -> str | None:
    """Returns why the fused cell cannot take this call, or None."""
    if gates.device.type != "cuda":
        return "needs cuda tensors"
    return native.rejects_dtypes((gates,), (w_hh, state_h, state_c))
