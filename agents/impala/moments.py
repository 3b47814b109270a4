"""Counts, means and variances over the valid rows of all ranks."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from experiment.ranks import ALONE, Ranks


class Moments(NamedTuple):
    """Of one quantity in the valid rows; scalars of its dtype."""

    rows: Tensor  # how many
    mean: Tensor
    squares: Tensor  # sum of squared differences from the mean


def moments(
    quantities: Sequence[Tensor], valid: Tensor, ranks: Ranks = ALONE
) -> tuple[Moments, ...]:
    """Returns the moments of each of some quantities [T, B], in one exchange.

    Each rank gives its own about its own mean, which loses no digits where the mean is large.
    Valid rows are not picked out: how many there are would have to be asked of the device.

    Source of the sum: Chan, Golub, LeVeque 1979, Updating formulae and a pairwise algorithm for
    computing sample variances, eq. (2.1).
    """
    own = torch.stack([part for quantity in quantities for part in _own(quantity, valid)])
    of_ranks = ranks.gathered(own).view(ranks.size, len(quantities), 3)
    return tuple(_of_all(of_ranks[:, i]) for i in range(len(quantities)))


def _own(quantity: Tensor, valid: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Returns how many, their sum, and the sum of squared differences from their mean."""
    rows = valid.sum()
    total = torch.where(valid, quantity, 0.0).sum()
    deviations = torch.where(valid, quantity - total / rows.clamp(min=1), 0.0)
    return rows.to(quantity.dtype), total, deviations.square().sum()


def _of_all(of_ranks: Tensor) -> Moments:
    """Returns the moments of what ranks [N, 3] have together."""
    rows, totals, squares = of_ranks.unbind(1)
    mean = totals.sum() / rows.sum().clamp(min=1)
    between = rows * (totals / rows.clamp(min=1) - mean).square()
    return Moments(rows.sum(), mean, squares.sum() + between.sum())
