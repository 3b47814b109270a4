"""The IMPALA loss of one minibatch of unrolls: policy gradient, value error, entropy bonus.

Functions of plain tensors. Only valid rows count: a terminal observation's row carries no action
that happened. Where several ranks learn together, counts and means are of the rows of all.

Sources: Espeholt et al. 2018, IMPALA, section 4.2 (https://arxiv.org/abs/1802.01561); the
clipped surrogate is eq. (7) of Schulman et al. 2017, PPO (https://arxiv.org/abs/1707.06347).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from agents.impala.moments import Moments, moments
from agents.impala.rollout import Rollout
from agents.impala.vtrace import vtrace_targets
from experiment.ranks import ALONE, Ranks
from models.policy import PolicyOutput

MIN_TARGET_VARIANCE = 1e-8
"""Targets that vary less count as constant: float32 rounds means of thousands to some 1e-4."""


class Loss(NamedTuple):
    """The loss for people to read: means over valid rows, whatever the reduction; no gradient.

    Of several ranks each has a part, and the means are the sums of these.
    """

    total: Tensor
    policy: Tensor  # this and the next two without their weights
    value: Tensor
    entropy: Tensor
    mean_rho: Tensor  # importance weight
    mean_value: Tensor  # the estimate V(x)
    explained_variance: Tensor  # the part of the targets' variance that V(x) explains
    information: Tensor  # see the function; the mean of those of the ranks


def plain_policy_loss(
    log_probs: Tensor, log_rhos: Tensor, advantages: Tensor, rho_bar: float
) -> Tensor:
    """Returns [T, B] -min(rho, rho_bar) A log pi; no gradient through rho or A."""
    rhos = log_rhos.detach().exp().clamp(max=rho_bar)
    return -rhos * advantages * log_probs


def surrogate_policy_loss(log_rhos: Tensor, advantages: Tensor, clip: float) -> Tensor:
    """Returns [T, B] -min(r A, clip(r, 1 - clip, 1 + clip) A), r = pi / mu with its gradient."""
    ratio = log_rhos.exp()
    return -torch.minimum(ratio * advantages, ratio.clamp(1 - clip, 1 + clip) * advantages)


def normalise(advantages: Tensor, of: Moments, min_deviation: float) -> Tensor:
    """Returns advantages [T, B] less their mean, over their standard deviation, of valid rows.

    The deviation counts as `min_deviation` where it is smaller.

    Source of the bound: Hafner et al. 2023, DreamerV3 (https://arxiv.org/abs/2301.04104), which
    scales large returns down and leaves small ones, "to avoid amplifying noise".
    """
    deviation = (of.squares / (of.rows - 1)).sqrt().clamp(min=min_deviation)
    return torch.where(of.rows < 2, advantages, (advantages - of.mean) / deviation)


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


def impala_loss(
    output: PolicyOutput,
    rollout: Rollout,
    config: LearnerConfig,
    entropy_cost: float | Tensor,
    ranks: Ranks = ALONE,
) -> tuple[Tensor, Loss]:
    """Computes the loss of the learner's outputs on a rollout, or a rank's part of it.

    Args:
        output: logits [T+1, B, A] and value [T+1, B] float32 under the learner's parameters.
        rollout: what the actors did.
        config: weights and variants of the loss.
        entropy_cost: weight of the entropy at this update, a number or a tensor [].
        ranks: whose rollouts are one; the sum of their losses is the loss.

    Returns:
        The scalar to descend, reduced as `config` says and differentiable in `output`, and the
        same as means.
    """
    log_policy = torch.log_softmax(output.logits[:-1], dim=-1)
    log_probs = log_policy.gather(-1, rollout.action[..., None])[..., 0]
    log_rhos = log_probs - rollout.behaviour_log_prob
    rewards = rollout.reward
    if config.reward_clip:
        rewards = rewards.clamp(-config.reward_clip, config.reward_clip)
    targets = vtrace_targets(
        log_rhos.detach(),
        rollout.discount,
        rewards,
        output.value[:-1].detach(),
        output.value[-1].detach(),
        rollout.valid,
        rho_bar=config.rho_bar,
        c_bar=config.c_bar,
        lambda_=config.vtrace_lambda,
    )
    advantages = targets.advantages
    values = output.value[:-1].detach()
    of_advantages, *of_values = moments(
        (advantages, targets.values, targets.values - values), rollout.valid, ranks
    )
    if config.normalise_advantages:
        advantages = normalise(advantages, of_advantages, config.min_advantage_deviation)
    if config.policy_loss == "plain":
        policy = plain_policy_loss(log_probs, log_rhos, advantages, config.rho_bar)
    else:
        policy = surrogate_policy_loss(log_rhos, advantages, config.surrogate_clip)
    value = 0.5 * (targets.values - output.value[:-1]).square()
    entropy = -(log_policy.exp() * log_policy).sum(-1)

    num_valid = of_advantages.rows.clamp(min=1)
    divisor = num_valid if config.reduction == "mean" else torch.ones_like(num_valid)
    rows = torch.stack((policy, value, entropy, log_rhos.detach().exp(), values))
    reduced = torch.where(rollout.valid, rows, 0.0).sum((1, 2)) / divisor
    policy, value, entropy, *_ = reduced.unbind()
    total = policy + config.value_cost * value - entropy_cost * entropy
    means = torch.cat((total.detach()[None], reduced.detach())) * divisor / num_valid
    explained = explained_variance(*of_values) / ranks.size  # the same on each
    informs = information(log_policy.detach(), rollout.valid) / ranks.size
    return total, Loss._make((*means.unbind(), explained, informs))
