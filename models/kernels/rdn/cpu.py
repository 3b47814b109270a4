"""The Recurrent Delta Net in C++ for CPU tensors: cpu.cpp, with its fake and autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt
from ..keys import KeyNorm


def run(
    *args: Tensor, key_norm: KeyNorm = "softmax", beta_range: int = 1, bptt: Bptt = "full"
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `rdn`."""
    y, state_w, state_y, *_ = torch.ops.fast_weights.rdn(
        *args, key_norm, beta_range, bptt == 1, autograd.needs_grad(*args)
    )
    return y, state_w, state_y


def rejects(*args: Tensor) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        limits.rejects_dtypes(args[:8], args[8:10])
        or limits.rejects_head_sizes(args[0].shape[-1])
        or load()
    )


def _saved_size(D: int) -> int:
    return 4 * native.padded(D) + native.ALIGNMENT


def _fake(*args: Any) -> tuple[Tensor, ...]:
    q, _, v, *_, state_w, state_y, _, _, _, _, save = args
    T, B, H, D = q.shape
    return (
        v.new_empty(v.shape),
        state_w.new_empty(state_w.shape),
        state_y.new_empty(state_y.shape),
        native.fake_saved_rows(state_w, (T, B, H, _saved_size(D)), save),
        native.fake_checkpoints(state_w, T, save),
    )


def _fake_backward(dy: Tensor, dstate_w: Tensor, dstate_y: Tensor, *_: Any) -> tuple[Tensor, ...]:
    T, B, H, D = dy.shape
    return (
        dstate_w.new_empty(T, B, H, 3 * D + 1),
        dstate_w.new_empty(H, D, 3 * D + 1),
        dstate_w.new_empty(dstate_w.shape),
        dstate_y.new_empty(dstate_y.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *floats, _, _, start, key_norm, beta_range, truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:3], output[3:])
    ctx.dtypes = [x.dtype for x in floats]
    ctx.options = key_norm, beta_range, truncate
    ctx.save_for_backward(*floats[4:], start, *output[3:])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    dinputs, dmatrices, dstate_w, dstate_y = torch.ops.fast_weights.rdn_backward(
        *autograd.materialised(ctx, grads, saved[-1]), *saved, *ctx.options
    )
    D = dinputs.shape[-1] // 3
    floats = [
        x.to(dtype)
        for x, dtype in zip((*_split(dinputs, D), *_split(dmatrices, D)), ctx.dtypes, strict=True)
    ]
    return (*floats, dstate_w, dstate_y, *[None] * 5)


def _split(x: Tensor, D: int) -> tuple[Tensor, ...]:
    *matrices, last = x.tensor_split((D, 2 * D, 3 * D), dim=-1)
    return (*matrices, last.squeeze(-1))


load = native.loader("rdn", _fake, _fake_backward, _save, _backward)
