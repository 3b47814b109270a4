"""The GRU recurrence for cuda tensors: cuBLAS and `gpu_kernels.py`, step by step, as the LSTM's.

The forward keeps h in float32, and r, z, n and what r scales of every step, 20 T B N bytes (8 MB
at T = 51, B = 32, N = 256). A call without gradients keeps only h. The gradient of W_hh is one
matrix product of those of the products with the h that entered each step.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, triton_launch
from ..dispatch import Bptt
from ..gated import entered, launch_step
from ..triton_launch import leading_strides, rows

Outputs = tuple[Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor]


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the Triton kernels; arguments and results as in `gru`."""
    y, state_h, _ = _forward(*args, bptt == 1, autograd.needs_grad(*args))
    return y.to(args[0].dtype), state_h


def rejects(
    gates: Tensor, w_hh: Tensor, b_hh: Tensor, state_h: Tensor, start: Tensor
) -> str | None:
    """Returns why the Triton kernels cannot take this call, or None."""
    return triton_launch.unavailable() or limits.rejects_dtypes((gates,), (w_hh, b_hh, state_h))


@torch.library.custom_op("fast_weights_triton::gru", mutates_args=())
def _forward(
    gates: Tensor,
    w_hh: Tensor,
    b_hh: Tensor,
    state_h: Tensor,
    start: Tensor,
    truncate: bool,
    save: bool,
) -> Outputs:
    from . import gpu_kernels

    outputs: Outputs = _fake(gates, w_hh, b_hh, state_h, start, truncate, save)
    y, final_h, activations = outputs
    T = len(gates)
    recurrent = final_h.new_empty(len(final_h), len(w_hh))
    strides = leading_strides(gates, 2), leading_strides(start, 2)
    for t, last_h in enumerate((state_h, *y[:-1])):
        torch.mm(last_h, w_hh.t(), out=recurrent)
        tensors = (gates, recurrent, b_hh, last_h, start, y, activations)
        launch_step(gpu_kernels.forward, *tensors, *strides, t=t, T=T, state=final_h, SAVE=save)
    final_h.copy_(y[-1])
    return outputs


@_forward.register_fake
def _fake(*args: Any) -> Outputs:
    gates, w_hh, _, state_h, _, _, save = args
    T, B, _ = gates.shape
    N = w_hh.shape[-1]
    return (
        state_h.new_empty(T, B, N),
        state_h.new_empty(state_h.shape),
        state_h.new_empty(T if save else 0, B, 4 * N),
    )


@torch.library.custom_op("fast_weights_triton::gru_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate_h: Tensor,
    w_hh: Tensor,
    state_h: Tensor,
    start: Tensor,
    y: Tensor,
    activations: Tensor,
    truncate: bool,
) -> Gradients:
    from . import gpu_kernels

    dy = rows(dy)
    T, B, N = dy.shape
    dgates = activations.new_empty(T, B, 3 * N)
    dproducts = torch.empty_like(dgates)
    # Of h: what reaches it through the products with W_hh, and through z alone.
    dh = dstate_h.clone(memory_format=torch.contiguous_format)
    direct = torch.zeros_like(dh)
    strides = leading_strides(start, 2), leading_strides(dy, 2)
    for t in reversed(range(T)):
        last_h = y[t - 1] if t else state_h
        tensors = (start, last_h, activations, dy, dh, direct, dgates, dproducts)
        launch_step(gpu_kernels.backward, *tensors, *strides, t=t, T=T, state=dh, TRUNCATE=truncate)
        if truncate:
            dh.zero_()
        else:
            torch.mm(dproducts[t], w_hh, out=dh)
    return dgates, dproducts, dh.masked_fill(start[0, :, None], 0.0) + direct


@_backward.register_fake
def _fake_backward(dy: Tensor, dstate_h: Tensor, *_: Any) -> Gradients:
    T, B, N = dy.shape
    return (
        dstate_h.new_empty(T, B, 3 * N),
        dstate_h.new_empty(T, B, 3 * N),
        dstate_h.new_empty(dstate_h.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    gates, w_hh, _, state_h, start, ctx.truncate, _ = inputs
    ctx.dtype = gates.dtype
    autograd.keep_outputs(ctx, output[:2], output[2:])
    ctx.save_for_backward(w_hh, state_h, start, output[0], *output[2:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    w_hh, state_h, start, y, activations = ctx.saved_tensors
    dgates, dproducts, dstate_h = _backward(
        *autograd.materialised(ctx, grads, y),
        *(w_hh, state_h, start, y, activations, ctx.truncate),
    )
    all_steps = dproducts.flatten(0, 1)
    dw_hh = all_steps.t() @ entered(state_h, y, start).flatten(0, 1)
    return dgates.to(ctx.dtype), dw_hh, all_steps.sum(0), dstate_h, None, None, None


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
