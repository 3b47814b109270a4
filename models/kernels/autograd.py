"""What the autograd formulas of all compiled operators share, whatever they are compiled by."""

import functools
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def without_autocast(device: torch.device) -> AbstractContextManager[object]:
    """Returns what keeps autocast out: a recurrence computes in the dtypes that it was given."""
    return torch.autocast(device.type, enabled=False) if is_autocast(device) else nullcontext()


def is_autocast(device: torch.device) -> bool:
    """Returns whether autocast narrows what is computed on a device."""
    is_possible = device.type in ("cpu", "cuda")
    return is_possible and torch.is_autocast_enabled(device.type)


def needs_grad(*inputs: Tensor | None) -> bool:
    """Returns whether a call with these inputs must save what its backward needs.

    Within a transform of torch.func a tensor may say that it needs no gradient, though autograd
    records the call.
    """
    is_transformed = torch._C._functorch.maybe_current_level() is not None
    return torch.is_grad_enabled() and (
        is_transformed or any(x is not None and x.requires_grad for x in inputs)
    )


def once_differentiable(
    backward: Callable[..., tuple[Tensor | None, ...]],
) -> Callable[..., tuple[Tensor | None, ...]]:
    """Returns a backward outside autocast that refuses gradients to be differentiated again.

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
        devices = (grad.device for grad in grads if grad is not None)
        with without_autocast(next(devices, torch.device("cpu"))):
            return backward(ctx, *grads)

    return first_order


def keep_outputs(ctx: Any, outputs: Sequence[Tensor], saved: Sequence[Tensor]) -> None:
    """Declares which results carry a gradient, and remembers the shape of each of those.

    Raises:
        NotImplementedError: autograd records a call that was told to save nothing: the backward
            would read what is not there.
    """
    if saved and not saved[0].numel():
        raise NotImplementedError("this kernel was called without a gradient, and one is asked for")
    ctx.set_materialize_grads(False)
    ctx.mark_non_differentiable(*saved)
    ctx.output_shapes = [x.shape for x in outputs]


def materialised(ctx: Any, grads: Sequence[Tensor | None], like: Tensor) -> list[Tensor]:
    """Returns the gradients of the outputs of `keep_outputs`, zeros where there is none."""
    return [
        like.new_zeros(shape) if grad is None else grad
        for shape, grad in zip(ctx.output_shapes, grads, strict=False)
    ]
