"""What the C++ backends of all operators share: how they are loaded, and what they save.

The operators live in `torch.ops.fast_weights` once `build.unavailable()` has loaded them.
Each has a forward that also returns what its backward needs, and a backward of its own.
"""

import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from . import autograd, build

# ALIGNMENT and CHECKPOINT_STEPS of cpu/layout.h.
ALIGNMENT = 16
CHECKPOINT_STEPS = 16


def padded(size: int) -> int:
    """Returns the floats that a saved row of this size takes."""
    return -(-size // ALIGNMENT) * ALIGNMENT


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
                    formula = autograd.once_differentiable(backward)
                    torch.library.register_fake(operator, fake)
                    torch.library.register_fake(f"{operator}_backward", fake_backward)
                    torch.library.register_autograd(operator, formula, setup_context=save)
                reasons.append(reason)
        return reasons[0]

    # So that torch.compile calls it while tracing and does not look inside. It is all that
    # torch.compiler.assume_constant_result does, whose import of the compiler takes seconds.
    vars(load)["_dynamo_marked_constant"] = True
    return load


def fake_saved_rows(state: Tensor, shape: Sequence[int], save: bool) -> Tensor:
    """Returns a fake of saved rows [T, B, H, padded] for rows of this shape."""
    *_, B, H, size = shape
    return state.new_empty(shape[0] if save else 0, B, H, padded(size))


def fake_checkpoints(state: Tensor, num_steps: int, save: bool) -> Tensor:
    """Returns a fake of the checkpoints [segments, B, H, padded, padded] of this state."""
    B, H, K, V = state.shape
    segments = -(-num_steps // CHECKPOINT_STEPS)
    return state.new_empty(segments if save else 0, B, H, padded(K), padded(V))
