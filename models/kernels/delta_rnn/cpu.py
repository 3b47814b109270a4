"""The Delta RNN in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `delta_rnn`."""
    h, state_w, state_r, state_h, *_ = torch.ops.fast_weights.delta_rnn(
        *args, bptt == 1, autograd.needs_grad(*args)
    )
    return h, state_w, state_r, state_h


def rejects(*args: Tensor) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        limits.rejects_dtypes(args[:7], args[7:10])
        or limits.rejects_head_sizes(args[0].shape[-1])
        or load()
    )


def _fake(*args: Any) -> tuple[Tensor, ...]:
    _, _, v, *_, state_w, state_r, state_h, _, _, save = args
    T, B, H, D = v.shape
    return (
        v.new_empty(v.shape),
        *(x.new_empty(x.shape) for x in (state_w, state_r, state_h)),
        native.fake_saved_rows(state_w, (T, B, H, 3 * native.padded(D)), save),
        native.fake_checkpoints(state_w, T, save),
        native.fake_checkpoints(state_r, T, save),
    )


def _fake_backward(dh: Tensor, *args: Any) -> tuple[Tensor, ...]:
    dstate_w, dstate_r, dstate_h, q, k, beta, rk, rbeta, *_ = args
    shaped_like = (q, k, q, beta, rk, rk, rbeta, dstate_w, dstate_r, dstate_h)
    return tuple(dstate_w.new_empty(x.shape) for x in shaped_like)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, _, beta, rk, _, rbeta, _, _, _, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:4], output[4:])
    ctx.dtypes = [x.dtype for x in inputs[:10]]
    ctx.save_for_backward(q, k, beta, rk, rbeta, start, *output[4:])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    floats = torch.ops.fast_weights.delta_rnn_backward(
        *autograd.materialised(ctx, grads, saved[-1]), *saved, ctx.truncate
    )
    cast = (x.to(dtype) for x, dtype in zip(floats, ctx.dtypes, strict=True))
    return (*cast, None, None, None)


load = native.loader("delta_rnn", _fake, _fake_backward, _save, _backward)
