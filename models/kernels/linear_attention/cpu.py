"""Linear attention in C++ for CPU tensors: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `linear_attention`."""
    y, state = torch.ops.fast_weights.linear_attention(*args, bptt == 1)
    return y, state


def rejects(q: Tensor, k: Tensor, v: Tensor, state: Tensor, start: Tensor) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        limits.rejects_dtypes((q, k, v), (state,))
        or limits.rejects_head_sizes(k.shape[-1], v.shape[-1])
        or load()
    )


def _fake(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, start: Tensor, truncate: bool
) -> tuple[Tensor, Tensor]:
    return v.new_empty(v.shape), state.new_empty(state.shape)


def _fake_backward(dy: Tensor, dstate: Tensor, *args: Any) -> tuple[Tensor, ...]:
    q, k, v, *_ = args
    return tuple(dstate.new_empty(x.shape) for x in (q, k, v, dstate))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    autograd.keep_outputs(ctx, output, ())
    ctx.truncate = inputs[-1]
    ctx.dtypes = [x.dtype for x in inputs[:4]]
    ctx.save_for_backward(*inputs[:5])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    state = saved[3]
    floats = torch.ops.fast_weights.linear_attention_backward(
        *autograd.materialised(ctx, grads, state), *saved, ctx.truncate
    )
    cast = (x.to(dtype) for x, dtype in zip(floats, ctx.dtypes, strict=True))
    return (*cast, None, None)


load = native.loader("linear_attention", _fake, _fake_backward, _save, _backward)
