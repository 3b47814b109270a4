"""The self-referential weight matrix in C++: cpu.cpp, with its fake and its autograd formula."""

from typing import Any

import torch
from torch import Tensor

from .. import autograd, limits, native
from ..dispatch import Bptt


def run(*args: Tensor, bptt: Bptt = "full") -> tuple[Tensor, Tensor]:
    """Runs the compiled kernel; arguments and results as in `srwm`."""
    y, state, *_ = torch.ops.fast_weights.srwm(*args, bptt == 1, autograd.needs_grad(*args))
    return y, state


def rejects(x: Tensor, w: Tensor, state: Tensor, start: Tensor) -> str | None:
    """Returns why the compiled kernel cannot take this call, or None."""
    return (
        limits.rejects_dtypes((x,), (w, state)) or limits.rejects_head_sizes(x.shape[-1]) or load()
    )


def _saved_size(state: Tensor) -> int:
    D, E = state.shape[-2:]
    return 2 * native.padded(D) + native.padded(E) + native.ALIGNMENT


def _fake(*args: Any) -> tuple[Tensor, ...]:
    x, _, state, _, _, save = args
    return (
        x.new_empty(x.shape),
        state.new_empty(state.shape),
        native.fake_saved_rows(state, (*x.shape[:3], _saved_size(state)), save),
        native.fake_checkpoints(state, len(x), save),
    )


def _fake_backward(dy: Tensor, dstate: Tensor, *_: Any) -> tuple[Tensor, ...]:
    doutputs_shape = (*dy.shape[:3], 2, dstate.shape[-1])
    return tuple(dstate.new_empty(shape) for shape in (dy.shape, doutputs_shape, dstate.shape))


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    x, w, _, start, ctx.truncate, _ = inputs
    autograd.keep_outputs(ctx, output[:2], output[2:])
    ctx.save_for_backward(x, w, start, *output[2:])


def _backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    saved = ctx.saved_tensors
    x, rows = saved[0], saved[3]
    dx, doutputs, dstate = torch.ops.fast_weights.srwm_backward(
        *autograd.materialised(ctx, grads, rows), *saved, ctx.truncate
    )
    D, key = x.shape[-1], native.padded(x.shape[-1])
    difference = rows[..., :D] - rows[..., key : key + D]
    multiplied = torch.stack((x.float(), difference), dim=3)
    dw = torch.einsum("tbhpi,tbhpj->hij", multiplied, doutputs)
    return dx.to(x.dtype), dw, dstate, None, None, None


load = native.loader("srwm", _fake, _fake_backward, _save, _backward)
