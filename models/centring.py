"""Features less their running mean, and no larger than a step of the optimiser should see them."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Centring(nn.Module):
    """Takes from features their mean over what was learned from, and makes large ones smaller.

    Adam moves every weight by about the step size, so that one step changes an output of the layer
    behind by up to the step size times the sum of its inputs' magnitudes. What the features have in
    common in all states therefore moves the outputs in all states at once, and noise in the
    gradient makes one action likelier everywhere, whatever is seen: inputs of mean zero have no
    such common part. And large features make every step a large one, whichever core they are of;
    a step size that the policy bears is then too small for everything before it
    (docs/pong_recipe.md).

    Args:
        size: number of features.
    """

    MOMENTUM = 0.01
    """The means begin as the first batch's and move this part of the way to those of each later."""
    MOST = 64.0
    """What magnitudes add up to, in the mean over rows, where they would add up to more."""

    mean: Tensor  # [size]
    magnitude: Tensor  # [], the mean sum of magnitudes of features less their mean
    mean_of_ranks: Callable[[Tensor], Tensor] | None = None
    """Where several processes learn together, the mean of their tensors, with its gradient."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(size))
        self.register_buffer("magnitude", torch.zeros(()))

    def forward(self, features: Tensor) -> Tensor:
        """Returns [T, B, size] less the mean, scaled.

        In training, with gradients, these rows count into the means first, if all are finite, and
        what would move all rows alike is taken from the gradient: the mean would follow it, and it
        would never end.
        """
        if not (self.training and torch.is_grad_enabled()):
            return (features - self.mean) * self._scale()
        of_batch = self._of_ranks(features.mean((0, 1)))
        with torch.no_grad():
            self._follow(self.mean, of_batch)
            sums = (features - self.mean).abs().sum(-1)
            self._follow(self.magnitude, self._of_ranks(sums.mean()))
        return (features - of_batch + (of_batch.detach() - self.mean)) * self._scale()

    def _of_ranks(self, of_rank: Tensor) -> Tensor:
        return of_rank if self.mean_of_ranks is None else self.mean_of_ranks(of_rank)

    def _follow(self, running: Tensor, of_batch: Tensor) -> None:
        new = torch.where(running.any(), running.lerp(of_batch, self.MOMENTUM), of_batch)
        running.copy_(torch.where(of_batch.isfinite().all(), new, running))

    def _scale(self) -> Tensor:
        return (self.MOST / self.magnitude).clamp(max=1.0)
