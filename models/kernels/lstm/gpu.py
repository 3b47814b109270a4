"""The LSTM recurrence for cuda tensors: cuBLAS and `gpu_kernels.py`, step by step.

A step is two launches: the product with W_hh, which cuBLAS spreads over the whole GPU, and a
Triton kernel for everything else. One kernel over all steps would have to keep each batch row in
one program, and so leave most of the GPU idle (docs/gpu.md).

The forward keeps h in float32, c and the four activations of every step, 24 T B N bytes
(10 MB at T = 51, B = 32, N = 256). A call without gradients keeps only h. The gradient of W_hh is
one matrix product of those of the gates with the h that entered each step.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, triton_launch
from ..dispatch import Bptt
from ..gated import entered, launch_step
from ..triton_launch import leading_strides, rows

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor]


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor, Tensor]:
    """Runs the Triton kernels; arguments and results as in `lstm`."""
    y, state_h, state_c, *_ = _forward(*args, bptt == 1, autograd.needs_grad(*args))
    return y.to(args[0].dtype), state_h, state_c


def rejects(
    gates: Tensor, w_hh: Tensor, state_h: Tensor, state_c: Tensor, start: Tensor
) -> str | None:
    """Returns why the Triton kernels cannot take this call, or None."""
    return triton_launch.unavailable() or limits.rejects_dtypes((gates,), (w_hh, state_h, state_c))


@torch.library.custom_op("fast_weights_triton::lstm", mutates_args=())
def _forward(
    gates: Tensor,
    w_hh: Tensor,
    state_h: Tensor,
    state_c: Tensor,
    start: Tensor,
    truncate: bool,
    save: bool,
) -> Outputs:
    from . import gpu_kernels

    outputs: Outputs = _fake(gates, w_hh, state_h, state_c, start, truncate, save)
    y, final_h, final_c, c_states, activations = outputs
    T = len(gates)
    recurrent = final_h.new_empty(len(final_h), len(w_hh))
    strides = leading_strides(gates, 2), leading_strides(start, 2)
    for t, last_h in enumerate((state_h, *y[:-1])):
        torch.mm(last_h, w_hh.t(), out=recurrent)
        tensors = (gates, recurrent, state_c, start, y, final_c, c_states, activations)
        launch_step(gpu_kernels.forward, *tensors, *strides, t=t, T=T, state=final_c, SAVE=save)
    final_h.copy_(y[-1])
    return outputs


@_forward.register_fake
def _fake(*args: Any) -> Outputs:
    gates, w_hh, state_h, state_c, _, _, save = args
    T, B, _ = gates.shape
    N = w_hh.shape[-1]
    saved_steps = T if save else 0
    return (
        state_h.new_empty(T, B, N),
        state_h.new_empty(state_h.shape),
        state_c.new_empty(state_c.shape),
        state_c.new_empty(saved_steps, B, N),
        state_c.new_empty(saved_steps, B, 4 * N),
    )


@torch.library.custom_op("fast_weights_triton::lstm_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate_h: Tensor,
    dstate_c: Tensor,
    w_hh: Tensor,
    state_c: Tensor,
    start: Tensor,
    c_states: Tensor,
    activations: Tensor,
    truncate: bool,
) -> Gradients:
    from . import gpu_kernels

    dy = rows(dy)
    T = len(dy)
    dgates = torch.empty_like(activations)
    dh, dc = (d.clone(memory_format=torch.contiguous_format) for d in (dstate_h, dstate_c))
    strides = leading_strides(start, 2), leading_strides(dy, 2)
    for t in reversed(range(T)):
        tensors = (state_c, start, c_states, activations, dy, dh, dc, dgates)
        launch_step(gpu_kernels.backward, *tensors, *strides, t=t, T=T, state=dc, TRUNCATE=truncate)
        if truncate:
            dh.zero_()
        else:
            torch.mm(dgates[t], w_hh, out=dh)
    return dgates, dh.masked_fill(start[0, :, None], 0.0), dc


@_backward.register_fake
def _fake_backward(dy: Tensor, dstate_h: Tensor, dstate_c: Tensor, *_: Any) -> Gradients:
    T, B, N = dy.shape
    return (
        dstate_h.new_empty(T, B, 4 * N),
        dstate_h.new_empty(dstate_h.shape),
        dstate_c.new_empty(dstate_c.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    gates, w_hh, state_h, state_c, start, ctx.truncate, _ = inputs
    ctx.dtype = gates.dtype
    autograd.keep_outputs(ctx, output[:3], output[3:])
    ctx.save_for_backward(w_hh, state_h, state_c, start, output[0], *output[3:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    w_hh, state_h, state_c, start, y, c_states, activations = ctx.saved_tensors
    dgates, dstate_h, dstate_c = _backward(
        *autograd.materialised(ctx, grads, y),
        *(w_hh, state_c, start, c_states, activations, ctx.truncate),
    )
    dw_hh = dgates.flatten(0, 1).t() @ entered(state_h, y, start).flatten(0, 1)
    return dgates.to(ctx.dtype), dw_hh, dstate_h, dstate_c, None, None, None


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
