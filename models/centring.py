"""What the heads are given of a core's features: as much as a step of the optimiser should move."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

MOST = 64.0
"""What the magnitudes of a row's features add up to, where they would add up to more."""


def limited(features: Tensor) -> Tensor:
    """Returns features [..., size], each row scaled down where its magnitudes exceed `MOST`.

    Adam moves every weight by about the step size, so that one step changes an output of the layer
    behind by up to the step size times the sum of its inputs' magnitudes. Large features make every
    step a large one: the policy then bears a step size that is too small for everything before it,
    and values jump about (docs/pong_trials.md).
    """
    return features / (features.abs().sum(-1, keepdim=True) / MOST).clamp(min=1.0)


class Centring(nn.Module):
    """Takes from features their mean over what was learned from.

    What the features have in common in all states moves the outputs of the layer behind in all
    states at once, and noise in the gradient makes one action likelier everywhere, whatever is
    seen: inputs of mean zero have no such common part.

    Args:
        size: number of features.
    """

    MOMENTUM = 0.01
    """The mean begins as the first batch's and moves this part of the way to that of each later."""

    mean: Tensor  # [size]
    mean_of_ranks: Callable[[Tensor], Tensor] | None = None
    """Where several processes learn together, the mean of their tensors, with its gradient."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))

    def forward(self, features: Tensor) -> Tensor:
        """Returns [T, B, size] less the mean.

        In training, with gradients, these rows count into the mean first, if all are finite, and
        what would move all rows alike is taken from the gradient: the mean would follow it, and it
        would never end.
        """
        if not (self.training and torch.is_grad_enabled()):
            return features - self.mean
        of_batch = features.mean((0, 1))
        if self.mean_of_ranks is not None:
            of_batch = self.mean_of_ranks(of_batch)
        with torch.no_grad():
            new = torch.where(self.mean.any(), self.mean.lerp(of_batch, self.MOMENTUM), of_batch)
            self.mean.copy_(torch.where(of_batch.isfinite().all(), new, self.mean))
        return features - of_batch + (of_batch.detach() - self.mean)
