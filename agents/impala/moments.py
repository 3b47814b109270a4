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
    rows, totals, squares = ranks.gathered(_own(quantities, valid)).unbind(1)
    mean = totals.sum(0) / rows.sum(0).clamp(min=1)
    between = rows * (totals / rows.clamp(min=1) - mean).square()
    of_all = rows.sum(0), mean, squares.sum(0) + between.sum(0)
    return tuple(map(Moments, *(found.unbind() for found in of_all)))


def _own(quantities: Sequence[Tensor], valid: Tensor) -> Tensor:
    """Returns [3, Q] of Q quantities: rows, sums, sums of squared differences from their mean."""
    rows = valid.sum()
    stacked = torch.where(valid, torch.stack(tuple(quantities)), 0.0)
    totals = stacked.sum((1, 2))
    means = totals / rows.clamp(min=1)
    deviations = torch.where(valid, stacked - means[:, None, None], 0.0)
    return torch.stack((rows.to(totals).expand_as(totals), totals, deviations.square().sum((1, 2))))
