"""The delta rule in Triton for cuda tensors: the operator around `gpu_kernels.py`.

The forward keeps the matrix before every write, 4 S B H K V bytes for S writes (26.7 MB at S = 51,
B = 32, H = 4, K = V = 32), so that the backward reads it instead of replaying segments. A call
without gradients keeps nothing.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows

MAX_PIPELINED_WRITES = 2
"""Of a step. Each has a matrix in flight, in the backward at D = 128 35 KB of shared memory: three
are too many for a GPU of compute capability 8.6, five for an A100, seven for an H100."""


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
    """Runs the Triton kernel; arguments and results as in `reference.run`."""
    args = (q, k, v, beta, alpha, state, start)
    y, state, _ = _forward(*args, bptt == 1, autograd.needs_grad(*args))
    return y, state


def rejects(*args: Tensor) -> str | None:
    """Returns why the Triton kernel cannot take this call of any of its operators, or None."""
    *sequences, state, _ = args
    return triton_launch.rejects_heads(tuple(sequences), (state,), state.shape[-2:])


def _decay(alpha: Tensor | None, beta: Tensor) -> Tensor:
    """Returns alpha, or something empty of its dtype where nothing decays."""
    return beta[:0] if alpha is None else alpha


def _writes(num_writes: int) -> dict[str, int]:
    """Returns the launch constants of a step of so many writes."""
    stages = triton_launch.STAGES if num_writes <= MAX_PIPELINED_WRITES else 1
    return {"M": num_writes, "STAGES": stages}


@torch.library.custom_op("fast_weights_triton::delta_rule", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    alpha: Tensor | None,
    state: Tensor,
    start: Tensor,
    truncate: bool,
    save: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    from . import gpu_kernels

    y, final_state, states = _fake(q, k, v, beta, alpha, state, start, truncate, save)
    decay = _decay(alpha, beta)
    T, B, H, K = q.shape
    V = v.shape[-1]
    blocks = triton_launch.column_blocks(K, V)
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H, -(-V // blocks["BLOCK_V"])),
        *(q, k, v, beta, decay, state, start, y, final_state, states),
        *(leading_strides(x) for x in (q, k, v, beta, decay)),
        leading_strides(start, 2),
        leading_strides(y),
        B * H * K * V,
        T,
        H,
        **_writes(len(k) // T),
        DECAYS=alpha is not None,
        SAVE=save,
        **blocks,
    )
    return y, final_state, states


@_forward.register_fake
def _fake(*args: Any) -> tuple[Tensor, Tensor, Tensor]:
    q, _, v, _, _, state, _, _, save = args
    saved_steps = len(v) if save else 0
    return (
        v.new_empty(len(q), *v.shape[1:]),
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
    alpha: Tensor | None,
    start: Tensor,
    states: Tensor,
    truncate: bool,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
    from . import gpu_kernels

    T, B, H, K = q.shape
    V = v.shape[-1]
    dy = rows(dy)
    blocks = triton_launch.column_blocks(K, V)
    num_tiles = -(-V // blocks["BLOCK_V"])
    decay = _decay(alpha, beta)
    partials = [triton_launch.new_partials(x, num_tiles) for x in (q, k, beta, decay)]
    dq, dk, dbeta, dalpha = partials
    dv, dinitial = v.new_empty(v.shape), dstate.new_empty(dstate.shape)
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H, num_tiles),
        *(q, k, v, beta, decay, start, states, dy, dstate.contiguous()),
        *(dq, dk, dv, dbeta, dalpha, dinitial),
        *(leading_strides(x) for x in (q, k, v, beta, decay)),
        leading_strides(start, 2),
        leading_strides(dy),
        B * H * K * V,
        B,
        T,
        H,
        **_writes(len(k) // T),
        DECAYS=alpha is not None,
        TRUNCATE=truncate,
        **blocks,
    )
    dq, dk, dbeta, dalpha = map(triton_launch.sum_partials, partials, (q, k, beta, decay))
    return dq, dk, dv, dbeta, dalpha, dinitial


@_backward.register_fake
def _fake_backward(_dy: Tensor, dstate: Tensor, *args: Any) -> tuple[Tensor, ...]:
    q, k, v, beta, alpha, *_ = args
    decay = _decay(alpha, beta)
    return tuple(x.new_empty(x.shape) for x in (q, k, v, beta, decay, dstate))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    q, k, v, beta, alpha, _, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:2], output[2:])
    ctx.save_for_backward(q, k, v, beta, alpha, start, output[2])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    has_alpha = saved[4] is not None
    *inputs, dalpha, dstate = _backward(
        *autograd.materialised(ctx, grads, saved[-1]), *saved, ctx.truncate
    )
    return (*inputs, dalpha if has_alpha else None, dstate, None, None, None)


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
