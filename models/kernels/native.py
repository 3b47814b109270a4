"""What the C++ backends of all operators share, from checks to the shapes of what they save.

The operators live in `torch.ops.fast_weights` once `build.unavailable()` has loaded them.
Each has a forward that also returns what its backward needs, and a backward of its own.
"""

import functools
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import build

MIN_SIZE = 8
MAX_SIZE = 128
DTYPES = (torch.float32, torch.bfloat16)
# ALIGNMENT and CHECKPOINT_STEPS of cpu/layout.h.
ALIGNMENT = 16
CHECKPOINT_STEPS = 16


def padded(size: int) -> int:
    """Returns the floats that a saved row of this size takes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def needs_grad(*inputs: Tensor | None) -> bool:
    """Returns whether a call with these inputs must save what its backward needs."""
    return torch.is_grad_enabled() and any(x is not None and x.requires_grad for x in inputs)


def rejects_dtypes(inputs: Sequence[Tensor], states: Sequence[Tensor]) -> str | None:
    """Returns which tensor has a dtype that the kernels do not take, or None."""
    for x in inputs:
        if x.dtype not in DTYPES:
            return f"takes float32 or bfloat16, got {x.dtype}"
    for x in states:
        if x.dtype != torch.float32:
            return f"takes a float32 state, got {x.dtype}"
    return None


def rejects_head_sizes(*sizes: int) -> str | None:
    """Returns why these key or value sizes cannot be used, or None."""
    for size in sizes:
        if not MIN_SIZE <= size <= MAX_SIZE:
            return f"takes head sizes {MIN_SIZE} to {MAX_SIZE}, got {size}"
    return None


def loader(
    name: str,
    fake: Callable[..., Any],
    fake_backward: Callable[..., Any],
    save: Callable[..., None],
    backward: Callable[..., Any],
) -> Callable[[], str | None]:
    """Returns a function that loads operator `name`, only the first time that it is called.

    It loads the library and gives the operator and its `_backward` their fakes and the autograd
    formula. It returns why the library cannot be used, or None.
    """
    lock = threading.Lock()  # actors and the learner may come here at the same time
    reasons: list[str | None] = []

    def load() -> str | None:
        with lock:
            if not reasons:
                reason = build.unavailable()
                if reason is None:
                    operator = f"fast_weights::{name}"
                    formula = once_differentiable(backward)
                    torch.library.register_fake(operator, fake)
                    torch.library.register_fake(f"{operator}_backward", fake_backward)
                    torch.library.register_autograd(operator, formula, setup_context=save)
                reasons.append(reason)
        return reasons[0]

    # So that torch.compile calls it while tracing and does not look inside. It is all that
    # torch.compiler.assume_constant_result does, whose import of the compiler takes seconds.
    vars(load)["_dynamo_marked_constant"] = True
    return load


def once_differentiable(
    backward: Callable[..., tuple[Tensor | None, ...]],
) -> Callable[..., tuple[Tensor | None, ...]]:
    """Returns a backward that refuses to make gradients which could be differentiated again.

    Autograd sees nothing inside a compiled kernel: left to it, their derivatives would be zero.
    torch's decorator of this name does not help where such a gradient is only a part of a loss.
    """

    @functools.wraps(backward)
    def first_order(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        if torch.is_grad_enabled():
            raise NotImplementedError(
                "this kernel is once differentiable, but create_graph=True was asked for; "
                "the reference kernel has second derivatives"
            )
        return backward(ctx, *grads)

    return first_order


def fake_saved_rows(state: Tensor, shape: Sequence[int], save: bool) -> Tensor:
    """Returns a fake of saved rows [T, B, H, padded] for rows of this shape."""
    *_, B, H, size = shape
    return state.new_empty(shape[0] if save else 0, B, H, padded(size))


def fake_checkpoints(state: Tensor, num_steps: int, save: bool) -> Tensor:
    """Returns a fake of the checkpoints [segments, B, H, padded, padded] of this state."""
    B, H, K, V = state.shape
    segments = -(-num_steps // CHECKPOINT_STEPS)
    return state.new_empty(segments if save else 0, B, H, padded(K), padded(V))


def keep_outputs(ctx: Any, outputs: Sequence[Tensor], saved: Sequence[Tensor]) -> None:
    """Declares which results carry a gradient, and remembers the shape of each of those."""
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*saved)
    ctx.output_shapes = [x.shape for x in outputs]


def materialised(ctx: Any, grads: Sequence[Tensor | None], like: Tensor) -> list[Tensor]:
    """Returns the gradients of the outputs of `keep_outputs`, zeros where there is none."""
    return [
        like.new_zeros(shape) if grad is None else grad
        for shape, grad in zip(ctx.output_shapes, grads, strict=False)
    ]
