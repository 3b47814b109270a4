"""Features less their running mean."""

from collections.abc import Callable

import torch
from torch import Tensor, nn


class Centring(nn.Module):
    """Takes from features their mean over what was learned from.

    What features have in common in all states moves a layer's outputs in all states at once, and
    as Adam moves every weight by the same size, the more so the more features there are: noise in
    the gradient then makes one action likelier everywhere, whatever is seen. Inputs of mean zero
    have no such common part (docs/pong_recipe.md).

    Args:
        size: number of features.
    """

    MOMENTUM = 0.01
    """The mean begins as the first batch's and moves this part of the way to that of each later."""

    mean: Tensor
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
            later = self.mean.lerp(of_batch, self.MOMENTUM)
            new = torch.where(self.mean.any(), later, of_batch)
            self.mean.copy_(torch.where(of_batch.isfinite().all(), new, self.mean))
        return features - of_batch + (of_batch.detach() - self.mean)
