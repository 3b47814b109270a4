"""The delta rule in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import native
from ..dispatch import Bptt


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `delta_rule`."""
    load()
    y, state, *_ = torch.ops.fast_weights.delta_rule(*args, bptt == 1, native.needs_grad(*args))
    return y, state


def rejects(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor, start: Tensor
) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        native.rejects_dtypes((q, k, v, beta), (state,))
        or native.rejects_head_sizes(k.shape[-1], v.shape[-1])
        or load()
    )


def _fake(*args: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    _, _, v, _, state, _, _, save = args
    return (
        v.new_empty(v.shape),
        state.new_empty(state.shape),
        native.fake_saved_rows(state, v.shape, save),
        native.fake_checkpoints(state, len(v), save),
    )


def _fake_backward(
    dy: Tensor, dstate: Tensor, q: Tensor, k: Tensor, beta: Tensor, *_: Any
) -> tuple[Tensor, ...]:
    return tuple(
        dstate.new_empty(shape) for shape in (q.shape, k.shape, dy.shape, beta.shape, dstate.shape)
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, beta, _, start, ctx.truncate, _ = inputs
    y, state, missing, checkpoints = output
    native.keep_outputs(ctx, (y, state), (missing, checkpoints))
    ctx.dtypes = [x.dtype for x in (q, k, v, beta)]
    ctx.save_for_backward(q, k, beta, start, missing, checkpoints)


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, beta, start, missing, checkpoints = ctx.saved_tensors
    dy, dstate = native.materialised(ctx, grads, missing)
    *inputs, dstate = torch.ops.fast_weights.delta_rule_backward(
        dy, dstate, q, k, beta, start, missing, checkpoints, ctx.truncate
    )
    inputs = [x.to(dtype) for x, dtype in zip(inputs, ctx.dtypes, strict=True)]
    return (*inputs, dstate, None, None, None)


@native.once
def load() -> None:
    """Loads and registers the compiled kernel; returns why it cannot be used, or None."""
    native.register("delta_rule", _fake, _fake_backward, _save, _backward)
