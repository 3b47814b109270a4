"""Which environments a minibatch consists of: as many of each group, in new orders every pass.

The groups are fixed blocks of columns of the batch. As a rank has whole groups, a minibatch is the
same however many ranks share it.
"""

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from experiment.ranks import ALONE, Ranks


def draw_minibatches(
    config: LearnerConfig,
    batch_size: int,
    generator: torch.Generator,
    *,
    num_groups: int = 1,
    ranks: Ranks = ALONE,
) -> Tensor:
    """Returns environments [passes, minibatches, b], as columns of this rank's rollouts.

    Args:
        config: numbers of passes and minibatches.
        batch_size: environments of this rank.
        generator: random stream; every rank draws the orders of all groups from its own copy.
        num_groups: of all ranks.
        ranks: which share them.
    """
    passes, minibatches = config.num_passes, config.num_minibatches
    if minibatches == 1:
        return torch.arange(batch_size).expand(passes, 1, -1)
    own = num_groups // ranks.size
    size = batch_size // own
    orders = [torch.randperm(size, generator=generator) for _ in range(passes * num_groups)]
    first = ranks.rank * own
    kept = torch.stack(orders).view(passes, num_groups, size)[:, first : first + own]
    columns = kept + size * torch.arange(own)[:, None]
    return columns.view(passes, own, minibatches, -1).transpose(1, 2).flatten(2)
