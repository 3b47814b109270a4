"""The LSTM recurrence in Triton for cuda tensors: the operator around `gpu_kernels.py`.

The forward keeps h in float32, c and the four activations of every step, 24 T B N bytes
(10 MB at T = 51, B = 32, N = 256). A call without gradients keeps only h.

The backward kernel writes the gradient of the gates; that of W_hh is one matrix product of it
with the h that entered each step.
"""

from typing import Any

import torch
from torch import Tensor

from .. import native, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows

MAX_HIDDEN_SIZE = 256

Outputs = tuple[Tensor, Tensor, Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor]


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `lstm`."""
    y, state_h, state_c, *_ = _forward(*args, bptt == 1, native.needs_grad(*args))
    return y.to(args[0].dtype), state_h, state_c


def rejects(
    gates: Tensor, w_hh: Tensor, state_h: Tensor, state_c: Tensor, start: Tensor
) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    hidden_size = w_hh.shape[-1]
    if hidden_size > MAX_HIDDEN_SIZE:
        return f"takes hidden sizes up to {MAX_HIDDEN_SIZE}, got {hidden_size}"
    return triton_launch.unavailable() or native.rejects_dtypes((gates,), (w_hh, state_h, state_c))


def _blocks(hidden_size: int) -> dict[str, int]:
    return {"N": hidden_size, "BLOCK_B": 16, "BLOCK_N": 32, "BLOCK_K": 32, "num_warps": 4}


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

    tensors = (gates, w_hh, state_h, state_c, start)
    outputs: Outputs = _fake(*tensors, truncate, save)
    blocks = _blocks(w_hh.shape[-1])
    T, B, _ = gates.shape
    triton_launch.launch(
        gpu_kernels.forward,
        (-(-B // blocks["BLOCK_B"]),),
        *(*tensors, *outputs),
        leading_strides(gates, 2),
        leading_strides(start, 2),
        T,
        B,
        SAVE=save,
        **blocks,
    )
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

    gradients: Gradients = _fake_backward(dy, dstate_h, dstate_c)
    dy = rows(dy)
    T, B, N = dy.shape
    blocks = _blocks(N)
    triton_launch.launch(
        gpu_kernels.backward,
        (-(-B // blocks["BLOCK_B"]),),
        *(w_hh, state_c, start, c_states, activations, dy),
        *(dstate_h.contiguous(), dstate_c.contiguous(), *gradients),
        leading_strides(start, 2),
        leading_strides(dy, 2),
        T,
        B,
        TRUNCATE=truncate,
        **blocks,
    )
    return gradients


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
    native.keep_outputs(ctx, output[:3], output[3:])
    ctx.save_for_backward(w_hh, state_h, state_c, start, output[0], *output[3:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    w_hh, state_h, state_c, start, y, c_states, activations = ctx.saved_tensors
    dgates, dstate_h, dstate_c = _backward(
        *native.materialised(ctx, grads, y),
        *(w_hh, state_c, start, c_states, activations, ctx.truncate),
    )
    entered = torch.cat((state_h[None], y[:-1])).masked_fill(start[..., None], 0.0)
    dw_hh = torch.einsum("tbi,tbj->ij", dgates, entered)
    return dgates.to(ctx.dtype), dw_hh, dstate_h, dstate_c, None, None, None


_forward.register_autograd(_autograd, setup_context=_save)
