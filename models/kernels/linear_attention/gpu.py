"""Linear attention in Triton for cuda tensors: the operator around `gpu_kernels.py`.

Nothing but the inputs is kept for the backward, which rebuilds W from the initial state.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows

MIN_WARPS = 2
"""A step has too few sums for their barriers to cost what two warps save."""


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `linear_attention`."""
    y, state = _forward(*args, bptt == 1)
    return y, state


def rejects(q: Tensor, k: Tensor, v: Tensor, state: Tensor, start: Tensor) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    return triton_launch.rejects_heads((q, k, v), (state,), (k.shape[-1], v.shape[-1]))


@torch.library.custom_op("fast_weights_triton::linear_attention", mutates_args=())
def _forward(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, start: Tensor, truncate: bool
) -> tuple[Tensor, Tensor]:
    from . import gpu_kernels

    y, final_state = v.new_empty(v.shape), state.new_empty(state.shape)
    T, B, H, K = k.shape
    V = v.shape[-1]
    blocks = triton_launch.column_blocks(K, V, MIN_WARPS)
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H, -(-V // blocks["BLOCK_V"])),
        *(q, k, v, state, start, y, final_state),
        *(leading_strides(x) for x in (q, k, v)),
        leading_strides(start, 2),
        leading_strides(y),
        T,
        H,
        **blocks,
    )
    return y, final_state


@_forward.register_fake
def _fake(
    q: Tensor, k: Tensor, v: Tensor, state: Tensor, start: Tensor, truncate: bool
) -> tuple[Tensor, Tensor]:
    return v.new_empty(v.shape), state.new_empty(state.shape)


@torch.library.custom_op("fast_weights_triton::linear_attention_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    state: Tensor,
    start: Tensor,
    truncate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    from . import gpu_kernels

    T, B, H, K = k.shape
    V = v.shape[-1]
    dy = rows(dy)
    blocks = triton_launch.column_blocks(K, V, MIN_WARPS)
    num_tiles = -(-V // blocks["BLOCK_V"])
    dq, dk = (triton_launch.new_partials(x, num_tiles) for x in (q, k))
    dv, dinitial = v.new_empty(v.shape), state.new_empty(state.shape)
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H, num_tiles),
        *(q, k, v, state, start, dy, dstate.contiguous(), dq, dk, dv, dinitial),
        *(leading_strides(x) for x in (q, k, v)),
        leading_strides(start, 2),
        leading_strides(dy),
        B,
        T,
        H,
        TRUNCATE=truncate,
        **blocks,
    )
    dq, dk = (triton_launch.sum_partials(parts, x) for parts, x in ((dq, q), (dk, k)))
    return dq, dk, dv, dinitial


@_backward.register_fake
def _fake_backward(_dy: Tensor, _dstate: Tensor, *args: Any) -> tuple[Tensor, ...]:
    q, k, v, state, *_ = args
    return tuple(x.new_empty(x.shape) for x in (q, k, v, state))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    *tensors, ctx.truncate = inputs
    autograd.keep_outputs(ctx, output, ())
    ctx.save_for_backward(*tensors)


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, v, state, start = ctx.saved_tensors
    dy, dstate = autograd.materialised(ctx, grads, state)
    return (*_backward(dy, dstate, q, k, v, state, start, ctx.truncate), None, None)


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
