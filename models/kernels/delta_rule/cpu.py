"""The delta rule in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt


def run(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    state: Tensor,
    start: Tensor,
    *,
    alpha: Tensor | None = None,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `reference.run`."""
    args = (q, k, v, beta, alpha, state, start)
    y, state, *_ = torch.ops.fast_weights.delta_rule(*args, bptt == 1, autograd.needs_grad(*args))
    return y, state


def rejects(*args: Tensor) -> str | None:
    """Returns why the compiled kernel cannot take this call of any of its operators, or None."""
    *sequences, state, _ = args
    return (
        limits.rejects_dtypes(sequences, (state,))
        or limits.rejects_head_sizes(*state.shape[-2:])
        or load()
    )


def _fake(*args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    q, _, v, _, _, state, _, _, save = args
    return (
        v.new_empty(len(q), *v.shape[1:]),
        state.new_empty(state.shape),
        native.fake_saved_rows(state, v.shape, save),
        native.fake_checkpoints(state, len(v), save),
    )


def _fake_backward(dy: Tensor, dstate: Tensor, *args: Any) -> tuple[Tensor, ...]:
    q, k, beta, alpha, *_ = args
    dv_shape = (*beta.shape, dy.shape[-1])
    dalpha_shape = (0, *beta.shape[1:]) if alpha is None else alpha.shape
    shapes = (q.shape, k.shape, dv_shape, beta.shape, dalpha_shape, dstate.shape)
    return tuple(dstate.new_empty(shape) for shape in shapes)


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, _, beta, alpha, _, start, ctx.truncate, _ = inputs
    y, state, missing, checkpoints = output
    autograd.keep_outputs(ctx, (y, state), (missing, checkpoints))
    ctx.dtype = q.dtype
    ctx.save_for_backward(q, k, beta, alpha, start, missing, checkpoints)


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, beta, alpha, *rest = ctx.saved_tensors
    dy, dstate = autograd.materialised(ctx, grads, rest[-1])
    *inputs, dstate = torch.ops.fast_weights.delta_rule_backward(
        dy, dstate, q, k, beta, alpha, *rest, ctx.truncate
    )
    *inputs, dalpha = [x.to(ctx.dtype) for x in inputs]
    return (*inputs, None if alpha is None else dalpha, dstate, None, None, None)


load = native.loader("delta_rule", _fake, _fake_backward, _save, _backward)
