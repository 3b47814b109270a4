"""Features less their running mean, and rows of them no larger than they should be."""

import pytest
import torch

from models.centring import MOST, Centring, limited
from models.cores import CoreConfig
from models.encoders import EncoderConfig
from models.policy import NO_ACTION, Policy, PolicyConfig


def batch(value):
    return torch.tensor([value, -value]).expand(3, 4, 2)


def test_the_mean_begins_as_the_first_batchs_and_follows_later_ones_slowly():
    centring = Centring(2)
    assert centring(batch(2.0)).eq(0).all()
    assert centring.mean.tolist() == [2.0, -2.0]
    found = centring(batch(4.0))
    torch.testing.assert_close(centring.mean, torch.tensor([2.02, -2.02]))
    torch.testing.assert_close(found, batch(1.98))


def test_acting_leaves_the_mean_as_it_is():
    centring = Centring(2)
    centring(batch(2.0))
    with torch.inference_mode():
        assert centring(batch(5.0)).eq(batch(3.0)).all()
    assert centring.mean.tolist() == [2.0, -2.0]


def test_a_policy_that_plays_leaves_the_mean_as_it_is_with_gradients_too():
    centring = Centring(2)
    centring(batch(2.0))
    assert centring.eval()(batch(5.0)).eq(batch(3.0)).all()
    assert centring.mean.tolist() == [2.0, -2.0]


def test_rows_that_are_not_finite_leave_the_mean_as_it_is():
    centring = Centring(2)
    centring(batch(2.0))
    for broken in (torch.nan, torch.inf):
        centring(batch(broken))
        assert centring.mean.tolist() == [2.0, -2.0]


def test_large_rows_are_scaled_down_and_small_ones_are_not():
    """A step of Adam moves an output by up to the step size times the sum of magnitudes."""
    rows = torch.randn(64, 16, 128, generator=torch.Generator().manual_seed(0))
    small = rows * 0.9 * MOST / rows.abs().sum(-1, keepdim=True)
    assert torch.equal(limited(small), small)
    assert torch.equal(limited(torch.zeros(2, 3)), torch.zeros(2, 3))
    for factor in (2.0, 1000.0):
        torch.testing.assert_close(limited(factor * small), small / 0.9)


def test_rows_without_features_have_a_gradient():
    zeros = torch.zeros(2, 3, requires_grad=True)
    limited(zeros).sum().backward()
    assert zeros.grad.eq(1).all()


def test_no_gradient_makes_a_large_row_larger():
    rows = torch.randn(5, 128, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows = (100 * rows).requires_grad_()
    (limited(rows) ** 3).sum().backward()
    assert (rows * rows.grad).sum(-1).abs().max() < 1e-6


def make_policy(**config):
    torch.manual_seed(0)
    return Policy(
        (3,),
        "float32",
        4,
        EncoderConfig(kind="mlp", size=8),
        CoreConfig(kind="lstm", num_layers=1, hidden_size=8),
        PolicyConfig(**config),
    )


def inputs_of(policy):
    return (
        torch.randn(50, 6, 3),
        torch.zeros(50, 6),
        torch.full((50, 6), NO_ACTION),
        torch.zeros(50, 6, dtype=torch.bool),
        policy.initial_state(6),
    )


@pytest.mark.parametrize("centre_features", [False, True])
def test_the_heads_of_large_features_are_given_limited_ones(centre_features):
    policy = make_policy(centre_features=centre_features)
    policy.core.register_forward_hook(lambda core, args, output: (1e6 * output[0], output[1]))
    given = {}
    for head in (policy.policy_head, policy.value_head):
        head.register_forward_pre_hook(lambda head, args: given.update({head: args[0]}))
    policy(*inputs_of(policy))
    for_value, for_policy = given[policy.value_head], given[policy.policy_head]
    sums = for_value.abs().sum(-1)
    assert torch.allclose(sums, torch.full_like(sums, MOST)) is centre_features
    mean = for_value.mean((0, 1)) if centre_features else 0.0
    torch.testing.assert_close(for_policy, for_value - mean)


@pytest.mark.parametrize("centre_features", [False, True])
def test_heads_can_be_given_the_cores_input_and_its_output_times_a_gain(centre_features):
    policy = make_policy(centre_features=centre_features, skip_core=True)
    assert policy.core_gain.item() == 0.0
    torch.nn.init.constant_(policy.core_gain, 0.25)
    policy.encoder.register_forward_hook(lambda encoder, args, output: 1e6 * output)
    policy.core.register_forward_hook(lambda core, args, output: (1e6 * output[0], output[1]))
    seen = {}
    policy.core.register_forward_hook(
        lambda core, args, output: seen.update(x=args[0], y=output[0])
    )
    for head in (policy.policy_head, policy.value_head):
        head.register_forward_pre_hook(lambda head, args: seen.update({head: args[0]}))
    policy(*inputs_of(policy))
    x, y = (limited(seen[of]) if centre_features else seen[of] for of in "xy")
    features = torch.cat((0.25 * y, x), -1)
    torch.testing.assert_close(seen[policy.value_head], features)
    mean = features.mean((0, 1)) if centre_features else 0.0
    torch.testing.assert_close(seen[policy.policy_head], features - mean)


def test_a_gain_of_nothing_can_be_learned():
    policy = make_policy(skip_core=True)
    policy(*inputs_of(policy))[0].value.sum().backward()
    assert policy.core_gain.grad.abs().item() > 1e-3


def test_a_step_along_the_mean_features_makes_no_action_likelier_everywhere():
    policy = make_policy(centre_features=True)
    inputs = inputs_of(policy)
    before = policy(*inputs)[0].logits.mean((0, 1))
    with torch.no_grad():
        policy.policy_head.weight += policy.centring.mean
        after = policy(*inputs)[0].logits.mean((0, 1))
    torch.testing.assert_close(after, before)


def test_no_gradient_moves_all_rows_alike():
    rows = torch.randn(3, 4, 2, generator=torch.Generator().manual_seed(0))
    shift = torch.zeros(2, requires_grad=True)
    (Centring(2)(rows + shift) ** 3).sum().backward()
    assert shift.grad.abs().max() < 1e-5
