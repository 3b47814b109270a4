"""The loss against gradients derived by hand, in float64."""

import pytest
import torch

from agents.impala.config import LearnerConfig
from agents.impala.diagnostics import explained_variance, information, total_divergence
from agents.impala.loss import impala_loss
from agents.impala.moments import moments
from agents.impala.policy_losses import normalise
from agents.impala.rollout import Rollout
from agents.impala.vtrace import vtrace_targets
from models.policy import PolicyOutput

T, B, A = 6, 3, 4


@pytest.fixture
def case():
    rng = torch.Generator().manual_seed(0)

    def randn(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    output = PolicyOutput(randn(T + 1, B, A).requires_grad_(), randn(T + 1, B).requires_grad_())
    rollout = Rollout(
        observation=torch.zeros(T + 1, B),
        last_reward=torch.zeros(T + 1, B),
        last_action=torch.zeros(T + 1, B, dtype=torch.int64),
        start=torch.zeros(T + 1, B, dtype=torch.bool),
        action=torch.randint(A, (T, B), generator=rng),
        behaviour_log_prob=-randn(T, B).abs() - 0.5,
        reward=3.0 * randn(T, B),
        discount=torch.full((T, B), 0.9, dtype=torch.float64),
        valid=torch.rand(T, B, generator=rng) < 0.7,
        value=torch.full((T + 1, B), torch.nan, dtype=torch.float64),
        log_prob=torch.full((T, B), torch.nan, dtype=torch.float64),
        core_state=(),
    )
    return output, rollout


def hand_gradients(output, rollout, config):
    """D loss / d logits and d loss / d value, by the chain rule on paper."""
    logits, values = output.logits[:-1].detach(), output.value.detach()
    known = values if rollout.value.isnan().any() else rollout.value
    pi = logits.softmax(-1)
    log_pi = pi.log()
    taken = torch.nn.functional.one_hot(rollout.action, A).double()
    log_probs = (log_pi * taken).sum(-1)
    log_rhos = log_probs - rollout.behaviour_log_prob
    limit = config.reward_clip or torch.inf
    targets = vtrace_targets(
        log_rhos,
        rollout.discount,
        rollout.reward.clamp(-limit, limit),
        known[:-1],
        known[-1],
        rollout.valid,
        rho_bar=config.rho_bar,
        c_bar=config.c_bar,
        lambda_=config.vtrace_lambda,
    )
    advantages = targets.advantages
    if config.normalise_advantages:
        of_valid = advantages[rollout.valid]
        advantages = (advantages - of_valid.mean()) / of_valid.std().clamp(
            min=config.min_advantage_deviation
        )
    if config.policy_loss == "plain":
        slope = -log_rhos.exp().clamp(max=config.rho_bar) * advantages  # of log pi(a)
    else:
        first = log_probs if rollout.log_prob.isnan().any() else rollout.log_prob
        weights = (first - rollout.behaviour_log_prob).exp().clamp(max=config.rho_bar)
        ratio = (log_probs - first).exp()
        clipped = ratio.clamp(1 - config.surrogate_clip, 1 + config.surrogate_clip)
        active = ratio * advantages <= clipped * advantages
        slope = -weights * torch.where(active, ratio * advantages, 0.0)
    d_logits = slope[..., None] * (taken - pi)
    entropy = -(pi * log_pi).sum(-1, keepdim=True)
    d_logits = d_logits + config.entropy_cost * pi * (log_pi + entropy)
    d_values = config.value_cost * (values[:-1] - targets.values)
    scale = 1.0 / rollout.valid.sum() if config.reduction == "mean" else 1.0
    keep = rollout.valid * scale
    zero = torch.zeros(1, B, dtype=torch.float64)
    return (
        torch.cat([d_logits * keep[..., None], zero[..., None].expand(1, B, A)]),
        torch.cat([d_values * keep, zero]),
    )


@pytest.mark.parametrize("reduction", ["sum", "mean"])
@pytest.mark.parametrize("policy_loss", ["plain", "surrogate"])
def test_gradients_are_the_hand_derived_ones(case, policy_loss, reduction):
    output, rollout = case
    config = LearnerConfig(policy_loss=policy_loss, reduction=reduction, entropy_cost=0.03)
    total, _ = impala_loss(output, rollout, config, config.entropy_cost)
    total.backward()
    d_logits, d_values = hand_gradients(output, rollout, config)
    torch.testing.assert_close(output.logits.grad, d_logits)
    torch.testing.assert_close(output.value.grad, d_values)


OTHER_SETTINGS = {
    "vtrace": {"rho_bar": 1.5, "c_bar": 0.7, "vtrace_lambda": 0.8},
    "raw rewards": {"reward_clip": 0.0},
    "rewards clipped at another size": {"reward_clip": 0.5},
    "weights": {"value_cost": 0.3, "surrogate_clip": 0.05},
    "normalised": {"normalise_advantages": True},
    "normalised by no less": {"normalise_advantages": True, "min_advantage_deviation": 20.0},
}


@pytest.mark.parametrize("settings", [{}, *OTHER_SETTINGS.values()], ids=["", *OTHER_SETTINGS])
@pytest.mark.parametrize("policy_loss", ["plain", "surrogate"])
def test_later_passes_go_by_the_values_and_the_policy_of_the_first(case, policy_loss, settings):
    output, rollout = case
    rollout.value = output.value.detach() + torch.linspace(-1, 1, B, dtype=torch.float64)
    log_policy = output.logits[:-1].detach().log_softmax(-1)
    log_probs = log_policy.gather(-1, rollout.action[..., None])[..., 0]
    rollout.log_prob = log_probs + torch.linspace(-0.4, 0.4, T, dtype=torch.float64)[:, None]
    config = LearnerConfig(policy_loss=policy_loss, **settings)
    total, _ = impala_loss(output, rollout, config, config.entropy_cost)
    total.backward()
    d_logits, d_values = hand_gradients(output, rollout, config)
    torch.testing.assert_close(output.logits.grad, d_logits)
    torch.testing.assert_close(output.value.grad, d_values)


def test_nothing_of_an_invalid_row_reaches_the_loss(case):
    output, rollout = case
    config = LearnerConfig(normalise_advantages=True)
    before, _ = impala_loss(output, rollout, config, 0.01)
    t, b = torch.nonzero(~rollout.valid)[0]
    rollout.reward[t, b] = 50.0
    rollout.action[t, b] = (rollout.action[t, b] + 1) % A
    rollout.behaviour_log_prob[t, b] = -20.0
    assert torch.equal(impala_loss(output, rollout, config, 0.01)[0], before)


def test_information_is_what_actions_tell_of_their_rows():
    policy = torch.tensor([[[0.9, 0.1], [0.9, 0.1]], [[0.9, 0.1], [0.1, 0.9]]])
    first_three = torch.tensor([[True, True], [True, False]])
    assert information(policy.log(), first_three).abs() < 1e-6
    last_two = torch.tensor([[False, False], [True, True]])
    # ln 2 less the entropy of (0.9, 0.1), which is 0.3251 nats
    assert information(policy.log(), last_two).item() == pytest.approx(0.3681, abs=1e-4)
    certain = torch.tensor([[[1.0, 0.0], [0.0, 1.0]]])
    assert information(certain.log(), torch.ones(1, 2, dtype=torch.bool)).item() == pytest.approx(
        0.6931, abs=1e-4
    )


def test_what_is_reported_is_a_mean_over_valid_rows_whatever_the_reduction(case):
    output, rollout = case
    totals, losses = zip(
        *(impala_loss(output, rollout, LearnerConfig(reduction=r), 0.01) for r in ("sum", "mean")),
        strict=True,
    )
    torch.testing.assert_close(totals[0], totals[1] * rollout.valid.sum())
    torch.testing.assert_close(losses[0], losses[1])
    torch.testing.assert_close(losses[1].total, totals[1].detach())
    log_pi = output.logits[:-1].detach().log_softmax(-1)
    entropy = -(log_pi.exp() * log_pi).sum(-1)[rollout.valid].mean()
    torch.testing.assert_close(losses[0].entropy, entropy)


def test_normalised_advantages_have_unit_scale_over_valid_rows_only():
    advantages = torch.tensor([[1.0, 3.0], [5.0, 1e6]], dtype=torch.float64)
    valid = torch.tensor([[True, True], [True, False]])
    kept = normalise(advantages, *moments([advantages], valid), min_deviation=1e-8)[valid]
    torch.testing.assert_close(kept, torch.tensor([-1.0, 0.0, 1.0], dtype=torch.float64))


def test_advantages_are_divided_by_no_less_than_the_least_deviation():
    advantages = torch.tensor([[1.0, 3.0], [5.0, 1e6]], dtype=torch.float64)  # deviation 2
    valid = torch.tensor([[True, True], [True, False]])
    kept = normalise(advantages, *moments([advantages], valid), min_deviation=8.0)[valid]
    torch.testing.assert_close(kept, torch.tensor([-0.25, 0.0, 0.25], dtype=torch.float64))


def explained(values, targets, valid):
    return explained_variance(*moments([targets, targets - values], valid)).item()


def test_explained_variance_is_the_part_that_values_explain_of_valid_rows():
    """Targets 0, 2, 4: variance 8/3. Errors of the values: 0, 1, -1, variance 2/3."""
    targets = torch.tensor([[0.0, 2.0], [4.0, 1e6]], dtype=torch.float64)
    values = torch.tensor([[0.0, 1.0], [5.0, 0.0]], dtype=torch.float64)
    valid = torch.tensor([[True, True], [True, False]])
    assert explained(values, targets, valid) == pytest.approx(0.75)
    assert explained(targets + 7.0, targets, valid) == 1.0
    assert explained(torch.zeros(2, 2), targets, valid) == 0.0
    assert explained(-targets, targets, valid) == pytest.approx(-3.0)


@pytest.mark.parametrize("target", [0.0, 0.3, -17.3])
@pytest.mark.parametrize("num_valid", [0, 1, 4000])
def test_of_targets_that_do_not_vary_nothing_is_explained(target, num_valid):
    """Of 4,000 equal numbers the mean is another by rounding: a variance, but a meaningless one."""
    targets = torch.full((4000, 1), target)
    valid = torch.arange(4000)[:, None] < num_valid
    values = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
    assert explained(values, targets, valid) == 0.0


def test_value_estimates_are_reported_over_valid_rows(case):
    output, rollout = case
    _, loss = impala_loss(output, rollout, LearnerConfig(), 0.01)
    values = output.value[:-1].detach()
    torch.testing.assert_close(loss.mean_value, values[rollout.valid].mean())
    log_policy = output.logits[:-1].detach().log_softmax(-1)
    log_probs = log_policy.gather(-1, rollout.action[..., None])[..., 0]
    targets = vtrace_targets(
        log_probs - rollout.behaviour_log_prob,
        rollout.discount,
        rollout.reward.clamp(-1, 1),
        values,
        output.value[-1].detach(),
        rollout.valid,
    ).values
    errors = (targets - values)[rollout.valid]
    expected = 1 - errors.var(correction=0) / targets[rollout.valid].var(correction=0)
    torch.testing.assert_close(loss.explained_variance, expected)


def test_divergence_is_zero_for_equal_and_known_for_two_coins():
    coin = torch.tensor([0.5, 0.5], dtype=torch.float64)
    biased = torch.tensor([0.9, 0.1], dtype=torch.float64)
    valid = torch.ones(1, 1, dtype=torch.bool)
    same = torch.stack([coin, coin]).log()[:, None, None]
    apart = torch.stack([coin, biased]).log()[:, None, None]
    assert total_divergence(same, valid).item() == 0.0
    expected = 0.5 * torch.tensor([0.5 / 0.9, 0.5 / 0.1], dtype=torch.float64).log().sum()
    torch.testing.assert_close(total_divergence(apart, valid), expected)
