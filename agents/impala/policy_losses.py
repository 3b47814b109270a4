"""What the policy loses in every row of a rollout: plain tensors in, plain tensors out.

Sources: the plain loss is Espeholt et al. 2018, IMPALA, section 4.2
(https://arxiv.org/abs/1802.01561); the clipped surrogate is eq. (7) of Schulman et al. 2017, PPO
(https://arxiv.org/abs/1707.06347), around another policy than the one that acted as in Hilton et
al. 2021 (https://arxiv.org/abs/2110.00641).
"""

import torch
from torch import Tensor

from agents.impala.moments import Moments


def plain_policy_loss(
    log_probs: Tensor, log_rhos: Tensor, advantages: Tensor, rho_bar: float
) -> Tensor:
    """Returns [T, B] -min(rho, rho_bar) A log pi; no gradient through rho or A."""
    rhos = log_rhos.detach().exp().clamp(max=rho_bar)
    return -rhos * advantages * log_probs


def surrogate_policy_loss(
    log_ratios: Tensor, weights: Tensor, advantages: Tensor, clip: float
) -> Tensor:
    """Returns [T, B] -w min(r A, clip(r, 1 - clip, 1 + clip) A), r with its gradient.

    Args:
        log_ratios: [T, B] log pi / pi_0, pi_0 the policy that pi must stay near.
        weights: [T, B] of the rows, importance weights of pi_0 over what acted, no gradient.
        advantages: [T, B], no gradient.
        clip: how far r may be from 1 and still be of use.
    """
    ratio = log_ratios.exp()
    clipped = ratio.clamp(1 - clip, 1 + clip)
    return -weights * torch.minimum(ratio * advantages, clipped * advantages)


def normalise(advantages: Tensor, of: Moments, min_deviation: float) -> Tensor:
    """Returns advantages [T, B] less their mean, over their standard deviation, of valid rows.

    The deviation counts as `min_deviation` where it is smaller.

    Source of the bound: Hafner et al. 2023, DreamerV3 (https://arxiv.org/abs/2301.04104), which
    scales large returns down and leaves small ones, "to avoid amplifying noise".
    """
    deviation = (of.squares / (of.rows - 1)).sqrt().clamp(min=min_deviation)
    return torch.where(of.rows < 2, advantages, (advantages - of.mean) / deviation)
