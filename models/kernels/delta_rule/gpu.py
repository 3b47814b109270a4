"""The delta rule in Triton for cuda tensors: the operator around `gpu_kernels.py`.

The forward keeps the matrix before every write, 4 T B H K V bytes (26.7 MB at T = 51, B = 32,
H = 4, K = V = 32), so that the backward reads it instead of replaying segments. A call without
gradients keeps nothing.
"""

from typing import Any

import torch
from torch import Tensor

from .. import native, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `delta_rule`."""
    y, state, _ = _forward(*args, bptt == 1, native.needs_grad(*args))
    return y, state


def rejects(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor, start: Tensor
) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    return triton_launch.rejects_heads((q, k, v, beta), (state,), (k.shape[-1], v.shape[-1]))


@torch.library.custom_op("fast_weights_triton::delta_rule", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    state: Tensor,
    start: Tensor,
    truncate: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    from . import gpu_kernels

    y, final_state, states = _fake(q, k, v, beta, state, start, truncate, save)
    T, B, H, K = k.shape
    V = v.shape[-1]
    blocks = triton_launch.column_blocks(K, V)
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H, -(-V // blocks["BLOCK_V"])),
        *(q, k, v, beta, state, start, y, final_state, states),
        *(leading_strides(x) for x in (q, k, v, beta)),
        leading_strides(start, 2),
        leading_strides(y),
        B * H * K * V,
        T,
        H,
        SAVE=save,
        **blocks,
    )
    return y, final_state, states


@_forward.register_fake
def _fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    _, _, v, _, state, _, _, save = args
    saved_steps = len(v) if save else 0
    return (
        v.new_empty(v.shape),
        state.new_empty(state.shape),
        state.new_empty(saved_steps, *state.shape),
    )


@torch.library.custom_op("fast_weights_triton::delta_rule_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    start: Tensor,
    states: Tensor,
    truncate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    from . import gpu_kernels

    T, B, H, K = k.shape
    V = v.shape[-1]
    dy = rows(dy)
    blocks = triton_launch.column_blocks(K, V)
    num_tiles = -(-V // blocks["BLOCK_V"])
    dq, dk, dbeta = (triton_launch.new_partials(x, num_tiles) for x in (q, k, beta))
    dv, dinitial = v.new_empty(v.shape), dstate.new_empty(dstate.shape)
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H, num_tiles),
        *(q, k, v, beta, start, states, dy, dstate.contiguous()),
        *(dq, dk, dv, dbeta, dinitial),
        *(leading_strides(x) for x in (q, k, v, beta)),
        leading_strides(start, 2),
        leading_strides(dy),
        B * H * K * V,
        B,
        T,
        H,
        TRUNCATE=truncate,
        **blocks,
    )
    dq, dk, dbeta = (
        triton_launch.sum_partials(parts, x) for parts, x in ((dq, q), (dk, k), (dbeta, beta))
    )
    return dq, dk, dv, dbeta, dinitial


@_backward.register_fake
def _fake_backward(_dy: Tensor, dstate: Tensor, *args: Any) -> tuple[Tensor, ...]:
    q, k, v, beta, *_ = args
    return tuple(x.new_empty(x.shape) for x in (q, k, v, beta, dstate))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, beta, _, start, ctx.truncate, _ = inputs
    native.keep_outputs(ctx, output[:2], output[2:])
    ctx.save_for_backward(q, k, v, beta, start, output[2])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    q, k, v, beta, start, states = ctx.saved_tensors
    dy, dstate = native.materialised(ctx, grads, states)
    inputs = _backward(dy, dstate, q, k, v, beta, start, states, ctx.truncate)
    return (*inputs, None, None, None)


_forward.register_autograd(native.once_differentiable(_autograd), setup_context=_save)
