"""The update that would have spoilt the weights: named while they are still good."""

import math
from collections.abc import Mapping
from typing import Any


class NonFiniteUpdate(FloatingPointError):
    """A loss, gradient or weight is NaN or infinite.

    Args:
        what: the quantity, with its value.
        update: number of the update, from 0.
        batch: what was learned from, as tensors and plain values by name, fit for a checkpoint.
        skippable: whether the update can be passed over, as nothing has been spoilt yet.
    """

    def __init__(
        self, what: str, update: int, batch: Mapping[str, Any], *, skippable: bool
    ) -> None:
        super().__init__(
            f"{what} at update {update}; try another run with a smaller learner.learning_rate or "
            "learner.max_gradient_norm"
            + (", or go on with --learner.skip_nonfinite true" if skippable else "")
        )
        self.update = update
        self.batch = batch


def first_nonfinite(quantities: Mapping[str, float]) -> str | None:
    """Returns the first quantity that is NaN or infinite, with its value, or None."""
    for name, value in quantities.items():
        if not math.isfinite(value):
            return f"{name} is {value}"
    return None
