"""The Delta RNN in Triton for cuda tensors: the operator around `gpu_kernels.py`.

The forward keeps both matrices before every write and the softmax it read R with,
4 T B H (2 D^2 + D) bytes (54 MB at T = 51, B = 32, H = 4, D = 32), so that the backward reads
them instead of replaying segments. A call without gradients keeps nothing.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows

PER_THREAD, PER_THREAD_BACKWARD = 64, 32
"""Elements of W and of R; the backward spills with 64."""

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `delta_rnn`."""
    h, state_w, state_r, state_h, *_ = _forward(*args, bptt == 1, autograd.needs_grad(*args))
    return h, state_w, state_r, state_h


def rejects(*args: Tensor) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    return triton_launch.rejects_heads(args[:7], args[7:10], (args[0].shape[-1],))


@torch.library.custom_op("fast_weights_triton::delta_rnn", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    rk: Tensor,
    rv: Tensor,
    rbeta: Tensor,
    state_w: Tensor,
    state_r: Tensor,
    state_h: Tensor,
    start: Tensor,
    truncate: bool,
    save: bool,
) -> Outputs:
    from . import gpu_kernels

    inputs, states = (q, k, v, beta, rk, rv, rbeta), (state_w, state_r, state_h)
    outputs: Outputs = _fake(*inputs, *states, start, truncate, save)
    T, B, H, D = q.shape
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H,),
        *(*inputs, *states, start, *outputs),
        *(leading_strides(x) for x in inputs),
        leading_strides(start, 2),
        B,
        T,
        H,
        SAVE=save,
        **triton_launch.square_blocks(D, PER_THREAD),
    )
    return outputs


@_forward.register_fake
def _fake(*args: Any) -> Outputs:
    q, *_, state_w, state_r, state_h, _, _, save = args
    states = (state_w, state_r, state_h)
    final_w, final_r, final_h = (x.new_empty(x.shape) for x in states)
    saved_steps = len(q) if save else 0
    w_states, r_states, reads = (x.new_empty(saved_steps, *x.shape) for x in states)
    return q.new_empty(q.shape), final_w, final_r, final_h, w_states, r_states, reads


@torch.library.custom_op("fast_weights_triton::delta_rnn_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate_w: Tensor,
    dstate_r: Tensor,
    dstate_h: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    rk: Tensor,
    rv: Tensor,
    rbeta: Tensor,
    start: Tensor,
    w_states: Tensor,
    r_states: Tensor,
    reads: Tensor,
    truncate: bool,
) -> list[Tensor]:
    from . import gpu_kernels

    inputs, dstates = (q, k, v, beta, rk, rv, rbeta), (dstate_w, dstate_r, dstate_h)
    gradients = [x.new_empty(x.shape) for x in (*inputs, *dstates)]
    dy = rows(dy)
    T, B, H, D = q.shape
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H,),
        *(*inputs, start, w_states, r_states, reads, dy),
        *(*(x.contiguous() for x in dstates), *gradients),
        *(leading_strides(x) for x in inputs),
        leading_strides(start, 2),
        leading_strides(dy),
        B,
        T,
        H,
        TRUNCATE=truncate,
        **triton_launch.square_blocks(D, PER_THREAD_BACKWARD),
    )
    return gradients


@_backward.register_fake
def _fake_backward(
    dy: Tensor, dstate_w: Tensor, dstate_r: Tensor, dstate_h: Tensor, *rest: Any
) -> list[Tensor]:
    return [x.new_empty(x.shape) for x in (*rest[:7], dstate_w, dstate_r, dstate_h)]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.truncate = inputs[11]
    autograd.keep_outputs(ctx, output[:4], output[4:])
    ctx.save_for_backward(*inputs[:7], inputs[10], *output[4:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    gradients = _backward(*autograd.materialised(ctx, grads, saved[-1]), *saved, ctx.truncate)
    return (*gradients, None, None, None)


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
