"""The GRU in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt
from ..gated import rejects_hidden_size


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `gru`."""
    h, state_h, *_ = torch.ops.fast_weights.gru(*args, bptt == 1, autograd.needs_grad(*args))
    return h, state_h


def rejects(
    gates: Tensor, w_hh: Tensor, b_hh: Tensor, state_h: Tensor, start: Tensor
) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        rejects_hidden_size(w_hh)
        or limits.rejects_dtypes((gates, w_hh, b_hh), (state_h,))
        or load()
    )


def _fake(*args: Any) -> tuple[Tensor, ...]:
    gates, w_hh, _, state_h, _, _, save = args
    T, B, _ = gates.shape
    N = w_hh.shape[1]
    kept = T if save else 0
    return (
        gates.new_empty(T, B, N),
        state_h.new_empty(state_h.shape),
        *(state_h.new_empty(kept, B, size) for size in (4 * N, N)),
    )


def _fake_backward(dh: Tensor, dstate_h: Tensor, w_hh: Tensor, *_: Any) -> tuple[Tensor, ...]:
    T, B, N = dh.shape
    return (
        dstate_h.new_empty(T, B, 3 * N),
        dstate_h.new_empty(w_hh.shape),
        dstate_h.new_empty(3 * N),
        dstate_h.new_empty(dstate_h.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    gates, w_hh, b_hh, _, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:2], output[2:])
    ctx.dtypes = [x.dtype for x in (gates, w_hh, b_hh)]
    ctx.save_for_backward(w_hh, start, *output[2:])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    *floats, dstate_h = torch.ops.fast_weights.gru_backward(
        *autograd.materialised(ctx, grads, saved[-1]), *saved, ctx.truncate
    )
    narrow = (x.to(dtype) for x, dtype in zip(floats, ctx.dtypes, strict=True))
    return (*narrow, dstate_h, None, None, None)


load = native.loader("gru", _fake, _fake_backward, _save, _backward)
