"""The IMPALA loss of one minibatch of unrolls: policy gradient, value error, entropy bonus.

Pure functions of plain tensors. Only valid rows count: a terminal observation's row carries no
action that happened.

Sources: Espeholt et al. 2018, IMPALA, section 4.2 (https://arxiv.org/abs/1802.01561); the
clipped surrogate is eq. (7) of Schulman et al. 2017, PPO (https://arxiv.org/abs/1707.06347).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from agents.impala.rollout import Rollout
from agents.impala.vtrace import vtrace_targets
from models.policy import PolicyOutput

MIN_VARIANCE = 1e-8
"""Targets that differ by less count as if they differed by this, in squared units of return."""


class Loss(NamedTuple):
    """The loss for people to read: means over valid rows, whatever the reduction; no gradient."""

    total: Tensor
    policy: Tensor  # this and the next two without their weights
    value: Tensor
    entropy: Tensor
    mean_rho: Tensor  # importance weight
    explained_variance: Tensor  # see the function
    information: Tensor  # see the function


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


def normalise(advantages: Tensor, valid: Tensor, min_deviation: float) -> Tensor:
    """Returns advantages [T, B] less their mean, over their standard deviation, of valid rows.

    The deviation counts as `min_deviation` where it is smaller. Valid rows are not picked out: how
    many there are would have to be asked of the device.

    Source of the bound: Hafner et al. 2023, DreamerV3 (https://arxiv.org/abs/2301.04104), which
    scales large returns down and leaves small ones, "to avoid amplifying noise".
    """
    num_valid = valid.sum()
    mean = torch.where(valid, advantages, 0.0).sum() / num_valid
    deviations = torch.where(valid, advantages - mean, 0.0)
    deviation = (deviations.square().sum() / (num_valid - 1)).sqrt().clamp(min=min_deviation)
    return torch.where(num_valid < 2, advantages, (advantages - mean) / deviation)


def explained_variance(values: Tensor, targets: Tensor, valid: Tensor) -> Tensor:
    """Returns the share of the variance of targets [T, B] that values explain, of valid rows.

    It is 1 where all are right, 0 where they are no better than the targets' mean, and below where
    they are worse.
    """

    def variance(x: Tensor) -> Tensor:
        mean = torch.where(valid, x, 0.0).sum() / valid.sum().clamp(min=1)
        return torch.where(valid, x - mean, 0.0).square().sum()

    return 1 - variance(targets - values) / variance(targets).clamp(min=MIN_VARIANCE)


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
    output: PolicyOutput, rollout: Rollout, config: LearnerConfig, entropy_cost: float | Tensor
) -> tuple[Tensor, Loss]:
    """Computes the loss of the learner's outputs on a rollout.

    Args:
        output: logits [T+1, B, A] and value [T+1, B] float32 under the learner's parameters.
        rollout: what the actors did.
        config: weights and variants of the loss.
        entropy_cost: weight of the entropy at this update, a number or a tensor [].

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
    if config.normalise_advantages:
        advantages = normalise(advantages, rollout.valid, config.min_advantage_deviation)
    if config.policy_loss == "plain":
        policy = plain_policy_loss(log_probs, log_rhos, advantages, config.rho_bar)
    else:
        policy = surrogate_policy_loss(log_rhos, advantages, config.surrogate_clip)
    value = 0.5 * (targets.values - output.value[:-1]).square()
    entropy = -(log_policy.exp() * log_policy).sum(-1)

    num_valid = rollout.valid.sum().clamp(min=1)
    divisor = num_valid if config.reduction == "mean" else torch.ones_like(num_valid)

    def reduce(rows: Tensor) -> Tensor:
        return torch.where(rollout.valid, rows, 0.0).sum() / divisor

    policy, value, entropy = reduce(policy), reduce(value), reduce(entropy)
    total = policy + config.value_cost * value - entropy_cost * entropy

    def mean(reduced: Tensor) -> Tensor:
        return reduced.detach() * divisor / num_valid

    mean_rho = mean(reduce(log_rhos.detach().exp()))
    explained = explained_variance(output.value[:-1].detach(), targets.values, rollout.valid)
    informed = information(log_policy.detach(), rollout.valid)
    figures = (*map(mean, (total, policy, value, entropy)), mean_rho, explained, informed)
    return total, Loss(*figures)
