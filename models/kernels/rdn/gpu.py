"""The RDN in Triton for cuda tensors: the operator around `gpu_kernels.py`.

The forward keeps the matrix before every write, tanh of the last output, what the slow net became
and a number of each norm, 4 T B H (D^2 + 4 D + 3) bytes (30 MB at T = 51, B = 32, H = 4, D = 32),
so that the backward reads them instead of replaying segments. A call without gradients keeps
nothing.

The backward kernel writes the gradients before norm and sigmoid; those of R_q, R_k, R_v and
r_b are matrix products of them with tanh of the last output.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, triton_launch
from ..dispatch import Bptt
from ..keys import KeyNorm
from ..triton_launch import leading_strides, rows

PER_THREAD = 32
"""Elements of each of four matrices; twice as many spill."""

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor]


def run(
    *args: Tensor, key_norm: KeyNorm = "softmax", beta_range: int = 1, bptt: Bptt = "full"
) -> tuple[Tensor, Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `rdn`."""
    options = key_norm, beta_range, bptt == 1, autograd.needs_grad(*args)
    y, state_w, state_y, *_ = _forward(*args, *options)
    return y, state_w, state_y


def rejects(*args: Tensor) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    return triton_launch.rejects_heads(args[:4], args[4:10], (args[0].shape[-1],))


@torch.library.custom_op("fast_weights_triton::rdn", mutates_args=())
def _forward(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    b: Tensor,
    r_q: Tensor,
    r_k: Tensor,
    r_v: Tensor,
    r_b: Tensor,
    state_w: Tensor,
    state_y: Tensor,
    start: Tensor,
    key_norm: str,
    beta_range: int,
    truncate: bool,
    save: bool,
) -> Outputs:
    from . import gpu_kernels

    tensors = (q, k, v, b, r_q, r_k, r_v, r_b, state_w, state_y, start)
    outputs: Outputs = _fake(*tensors, key_norm, beta_range, truncate, save)
    T, B, H, D = q.shape
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H,),
        *(*tensors, *outputs),
        *(leading_strides(x) for x in (q, k, v, b)),
        leading_strides(start, 2),
        B,
        T,
        H,
        KEY_NORM=key_norm,
        BETA_RANGE=beta_range,
        SAVE=save,
        **triton_launch.square_blocks(D, PER_THREAD),
    )
    return outputs


@_forward.register_fake
def _fake(*args: Any) -> Outputs:
    q, *_, state_w, state_y, _, _, _, _, save = args
    T, B, H, D = q.shape
    saved_steps = T if save else 0
    return (
        q.new_empty(q.shape),
        state_w.new_empty(state_w.shape),
        state_y.new_empty(state_y.shape),
        state_w.new_empty(saved_steps, B, H, D, D),
        state_w.new_empty(saved_steps, B, H, 4, D),
        state_w.new_empty(saved_steps, B, H, 3),
    )


@torch.library.custom_op("fast_weights_triton::rdn_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate_w: Tensor,
    dstate_y: Tensor,
    r_q: Tensor,
    r_k: Tensor,
    r_v: Tensor,
    r_b: Tensor,
    start: Tensor,
    w_states: Tensor,
    rows_saved: Tensor,
    numbers_saved: Tensor,
    key_norm: str,
    beta_range: int,
    truncate: bool,
) -> Gradients:
    from . import gpu_kernels

    gradients: Gradients = _fake_backward(dy, dstate_w, dstate_y)
    dy = rows(dy)
    T, B, H, D = dy.shape
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H,),
        *(r_q, r_k, r_v, r_b, start, w_states, rows_saved, numbers_saved, dy),
        *(dstate_w.contiguous(), dstate_y.contiguous(), *gradients),
        leading_strides(start, 2),
        leading_strides(dy),
        B,
        T,
        H,
        KEY_NORM=key_norm,
        BETA_RANGE=beta_range,
        TRUNCATE=truncate,
        **triton_launch.square_blocks(D, PER_THREAD),
    )
    return gradients


@_backward.register_fake
def _fake_backward(dy: Tensor, dstate_w: Tensor, dstate_y: Tensor, *_: Any) -> Gradients:
    T, B, H, D = dy.shape
    return (
        dstate_w.new_empty(T, B, H, 3 * D + 1),
        dstate_w.new_empty(dstate_w.shape),
        dstate_y.new_empty(dstate_y.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.options, ctx.dtype = inputs[11:14], inputs[0].dtype
    autograd.keep_outputs(ctx, output[:3], output[3:])
    ctx.save_for_backward(*inputs[4:8], inputs[10], *output[3:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    rows_saved = saved[-2]
    D = rows_saved.shape[-1]
    grads_of_all = autograd.materialised(ctx, grads, rows_saved)
    dslow, *dstates = _backward(*grads_of_all, *saved, *ctx.options)
    # A product for each step, then their sum: as one product over T B rows, H programs do it all.
    drecurrent = torch.einsum("tbhi,tbhj->thij", rows_saved[..., 0, :], dslow).sum(0)
    dr_q, dr_k, dr_v, dr_b = torch.split(drecurrent, [D, D, D, 1], dim=-1)
    dq, dk, dv, db = torch.split(dslow.to(ctx.dtype), [D, D, D, 1], dim=-1)
    return (
        *(dq, dk, dv, db.squeeze(-1)),
        *(dr_q, dr_k, dr_v, dr_b.squeeze(-1)),
        *(*dstates, *[None] * 5),
    )


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
