"""The self-referential weight matrix in Triton: the operator around `gpu_kernels.py`.

The forward keeps the whole weight matrix before every write and the query, key and strengths,
4 T B H (D E + 2 D + 4) bytes with E = 3 D + 4 (85 MB at T = 51, B = 32, H = 4, D = 32), so that the
backward reads them instead of replaying segments. A call without gradients keeps nothing.

The backward kernel writes the gradients of the two products with W; that of w are matrix products
of them with what W was multiplied by.
"""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, triton_launch
from ..dispatch import Bptt
from ..triton_launch import leading_strides, rows

PER_THREAD = 16
"""Elements of each of six matrices, three parts of w and of the state."""

Outputs = tuple[Tensor, Tensor, Tensor, Tensor]
Gradients = tuple[Tensor, Tensor, Tensor]


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the Triton kernel; arguments and results as in `srwm`."""
    y, state, *_ = _forward(*args, bptt == 1, autograd.needs_grad(*args))
    return y, state


def rejects(x: Tensor, w: Tensor, state: Tensor, start: Tensor) -> str | None:
    """Returns why the Triton kernel cannot take this call, or None."""
    return triton_launch.rejects_heads((x,), (w, state), (x.shape[-1],))


@torch.library.custom_op("fast_weights_triton::srwm", mutates_args=())
def _forward(
    x: Tensor, w: Tensor, state: Tensor, start: Tensor, truncate: bool, save: bool
) -> Outputs:
    from . import gpu_kernels

    outputs: Outputs = _fake(x, w, state, start, truncate, save)
    T, B, H, D = x.shape
    triton_launch.launch(
        gpu_kernels.forward,
        (B * H,),
        *(x, w, state, start, *outputs),
        leading_strides(x),
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
    x, _, state, _, _, save = args
    T, B, H, D = x.shape
    kept = T if save else 0
    return (
        x.new_empty(x.shape),
        state.new_empty(state.shape),
        state.new_empty(kept, *state.shape),
        state.new_empty(kept, B, H, 2 * D + 4),
    )


@torch.library.custom_op("fast_weights_triton::srwm_backward", mutates_args=())
def _backward(
    dy: Tensor,
    dstate: Tensor,
    x: Tensor,
    start: Tensor,
    matrices: Tensor,
    rows_saved: Tensor,
    truncate: bool,
) -> Gradients:
    from . import gpu_kernels

    gradients: Gradients = _fake_backward(dy, dstate)
    dy = rows(dy)
    T, B, H, D = x.shape
    triton_launch.launch(
        gpu_kernels.backward,
        (B * H,),
        *(x, start, matrices, rows_saved, dy, dstate.contiguous(), *gradients),
        leading_strides(x),
        leading_strides(start, 2),
        leading_strides(dy),
        B,
        T,
        H,
        TRUNCATE=truncate,
        **triton_launch.square_blocks(D, PER_THREAD),
    )
    return gradients


@_backward.register_fake
def _fake_backward(dy: Tensor, dstate: Tensor, *_: Any) -> Gradients:
    return (
        dstate.new_empty(dy.shape),
        dstate.new_empty(*dy.shape[:3], 2, dstate.shape[-1]),
        dstate.new_empty(dstate.shape),
    )


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, _, _, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:2], output[2:])
    ctx.save_for_backward(x, start, *output[2:])


def _autograd(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    x, rows_saved = saved[0], saved[-1]
    dx, doutputs, dstate = _backward(
        *autograd.materialised(ctx, grads, rows_saved), *saved, ctx.truncate
    )
    query, key, _ = rows_saved.split([x.shape[-1], x.shape[-1], 4], dim=-1)
    multiplied = torch.stack((x.float(), query - key), dim=3)
    # A product for each step, then their sum: as one product over all rows, H programs do it all.
    dw = torch.einsum("tbhpi,tbhpj->thij", multiplied, doutputs).sum(0)
    return dx.to(x.dtype), dw, dstate, None, None, None


_forward.register_autograd(autograd.once_differentiable(_autograd), setup_context=_save)
