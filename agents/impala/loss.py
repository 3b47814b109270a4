"""The IMPALA loss of one minibatch of unrolls: policy gradient, value error, entropy bonus.

Only valid rows count: a terminal observation's row carries no action that happened. Where several
ranks learn together, counts and means are of the rows of all.

Source: Espeholt et al. 2018, IMPALA, section 4.2 (https://arxiv.org/abs/1802.01561).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from agents.impala.diagnostics import explained_variance, information
from agents.impala.moments import Moments, moments
from agents.impala.policy_losses import normalise, plain_policy_loss, surrogate_policy_loss
from agents.impala.rollout import Rollout
from agents.impala.vtrace import VTraceTargets, vtrace_targets
from experiment.ranks import ALONE, Ranks
from models.policy import PolicyOutput


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


class _Terms(NamedTuple):
    """What a minibatch's rows lose, before it is added up."""

    policy: Tensor  # [T, B], as the next two
    value: Tensor
    entropy: Tensor
    rhos: Tensor  # [T, B] importance weights, without gradient
    of_advantages: Moments
    of_targets: Moments
    of_errors: Moments  # of the values: targets less values


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
    terms = _terms(output, log_policy, rollout, config, ranks)
    num_valid = terms.of_advantages.rows.clamp(min=1)
    divisor = num_valid if config.reduction == "mean" else torch.ones_like(num_valid)
    values = output.value[:-1].detach()
    rows = torch.stack((terms.policy, terms.value, terms.entropy, terms.rhos, values))
    reduced = torch.where(rollout.valid, rows, 0.0).sum((1, 2)) / divisor
    policy, value, entropy, *_ = reduced.unbind()
    total = policy + config.value_cost * value - entropy_cost * entropy
    means = torch.cat((total.detach()[None], reduced.detach())) * divisor / num_valid
    whole = (  # the same on each rank, or the mean of the ranks
        explained_variance(terms.of_targets, terms.of_errors) / ranks.size,
        information(log_policy.detach(), rollout.valid) / ranks.size,
    )
    return total, Loss._make((*means.unbind(), *whole))


def _terms(
    output: PolicyOutput, log_policy: Tensor, rollout: Rollout, config: LearnerConfig, ranks: Ranks
) -> _Terms:
    """Returns the rows of the loss, and the moments over the valid rows of all ranks."""
    log_probs = log_policy.gather(-1, rollout.action[..., None])[..., 0]
    log_rhos = log_probs - rollout.behaviour_log_prob
    value = output.value.detach()
    known = _of_first_pass(value, rollout.value)
    targets = _targets(known, log_rhos.detach(), rollout, config)
    errors = targets.values - value[:-1]
    of = moments((targets.advantages, targets.values, errors), rollout.valid, ranks)
    return _Terms(
        _policy_loss(log_probs, rollout, targets.advantages, of[0], config),
        0.5 * (targets.values - output.value[:-1]).square(),
        -(log_policy.exp() * log_policy).sum(-1),
        log_rhos.detach().exp(),
        *of,
    )


def _of_first_pass(now: Tensor, kept: Tensor) -> Tensor:
    """Returns what a rollout's first pass found, which is now where nothing is kept of it.

    Later values have been fitted to this rollout. PPO, too, makes its advantages before it learns
    (Schulman et al. 2017, https://arxiv.org/abs/1707.06347, algorithm 1).
    """
    return torch.where(kept.isnan(), now, kept)


def _targets(
    value: Tensor, log_rhos: Tensor, rollout: Rollout, config: LearnerConfig
) -> VTraceTargets:
    """Returns V-trace targets for values [T+1, B] and log importance weights [T, B]."""
    rewards = rollout.reward
    if config.reward_clip:
        rewards = rewards.clamp(-config.reward_clip, config.reward_clip)
    return vtrace_targets(
        log_rhos,
        rollout.discount,
        rewards,
        value[:-1],
        value[-1],
        rollout.valid,
        rho_bar=config.rho_bar,
        c_bar=config.c_bar,
        lambda_=config.vtrace_lambda,
    )


def _policy_loss(
    log_probs: Tensor, rollout: Rollout, advantages: Tensor, of: Moments, config: LearnerConfig
) -> Tensor:
    """Returns the policy's loss [T, B] that `config` names."""
    if config.normalise_advantages:
        advantages = normalise(advantages, of, config.min_advantage_deviation)
    acted = rollout.behaviour_log_prob
    if config.policy_loss == "plain":
        return plain_policy_loss(log_probs, log_probs - acted, advantages, config.rho_bar)
    first = _of_first_pass(log_probs.detach(), rollout.log_prob)
    weights = (first - acted).exp().clamp(max=config.rho_bar)
    return surrogate_policy_loss(log_probs - first, weights, advantages, config.surrogate_clip)
