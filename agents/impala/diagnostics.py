"""What is said of an update for people to read: plain tensors in, plain tensors out."""

import torch
from torch import Tensor

from agents.impala.moments import Moments

MIN_TARGET_VARIANCE = 1e-8
"""Targets that vary less count as constant: float32 rounds means of thousands to some 1e-4."""


def explained_variance(targets: Moments, errors: Moments) -> Tensor:
    """Returns 1 - Var[target - value] / Var[target] over valid rows.

    1 where values are right up to a constant, 0 where a constant does as well, below 0 where it
    does better. 0 where the targets do not vary, so that nothing is there to be explained.
    """
    total, unexplained = (of.squares / of.rows.clamp(min=1) for of in (targets, errors))
    part = 1.0 - unexplained / total.clamp(min=MIN_TARGET_VARIANCE)
    return torch.where(total < MIN_TARGET_VARIANCE, 0.0, part)


def information(log_policy: Tensor, valid: Tensor) -> Tensor:
    """Returns how much the actions depend on what is seen, in nats, over valid rows.

    It is the mutual information of row and action: the entropy of the mean policy less the mean
    entropy. It is 0 where the policy is the same in all rows, however little random.

    Args:
        log_policy: [T, B, A] log pi.
        valid: [T, B] bool.
    """
    policy = torch.where(valid[..., None], log_policy.exp(), 0.0)
    num_valid = valid.sum().clamp(min=1)
    mean = policy.sum((0, 1)) / num_valid
    return (torch.xlogy(policy, policy).sum() / num_valid) - torch.xlogy(mean, mean).sum()


def total_divergence(log_policy_by_pass: Tensor, valid: Tensor) -> Tensor:
    """Returns the sum of KL(first || last) in nats over valid rows of [2, T, B, A] log pi."""
    first, last = log_policy_by_pass
    divergence = (first.exp() * (first - last)).sum(-1)
    return torch.where(valid, divergence, 0.0).sum()
