"""The LSTM in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt
from ..gated import rejects_hidden_size


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `lstm`."""
    h, state_h, state_c, *_ = torch.ops.fast_weights.lstm(
        *args, bptt == 1, autograd.needs_grad(*args)
    )
    return h, state_h, state_c


def rejects(
    gates: Tensor, w_hh: Tensor, state_h: Tensor, state_c: Tensor, start: Tensor
) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        rejects_hidden_size(w_hh)
        or limits.rejects_dtypes((gates, w_hh), (state_h, state_c))
        or load()
    )


def _fake(*args: Any) -> tuple[Tensor, ...]:
    gates, w_hh, state_h, state_c, _, _, save = args
    T, B, _ = gates.shape
    N = w_hh.shape[1]
    kept = T if save else 0
    return (
        gates.new_empty(T, B, N),
        state_h.new_empty(state_h.shape),
        state_c.new_empty(state_c.shape),
        *(state_h.new_empty(kept, B, size) for size in (4 * N, N, N)),
    )


def _fake_backward(
    dh: Tensor, dstate_h: Tensor, dstate_c: Tensor, w_hh: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    T, B, N = dh.shape
    return (
        dstate_h.new_empty(T, B, 4 * N),
        dstate_h.new_empty(w_hh.shape),
        dstate_h.new_empty(dstate_h.shape),
        dstate_c.new_empty(dstate_c.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    gates, w_hh, _, state_c, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:3], output[3:])
    ctx.dtypes = (gates.dtype, w_hh.dtype)
    ctx.save_for_backward(w_hh, state_c, start, *output[3:])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    dgates, dw_hh, dstate_h, dstate_c = torch.ops.fast_weights.lstm_backward(
        *autograd.materialised(ctx, grads, saved[-1]), *saved, ctx.truncate
    )
    gates_dtype, w_dtype = ctx.dtypes
    return dgates.to(gates_dtype), dw_hh.to(w_dtype), dstate_h, dstate_c, None, None, None


load = native.loader("lstm", _fake, _fake_backward, _save, _backward)
