"""Features less their running mean, and no larger than they should be."""

import pytest
import torch

from models.centring import Centring
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


def test_rows_that_are_not_finite_leave_the_means_as_they_are():
    centring = Centring(2)
    centring(batch(2.0) + torch.tensor([[[0.5]], [[0.0]], [[-0.5]]]))
    before = centring.mean.tolist(), centring.magnitude.item()
    assert before == ([2.0, -2.0], pytest.approx(2 / 3))
    for broken in (torch.nan, torch.inf):
        centring(batch(broken))
        assert (centring.mean.tolist(), centring.magnitude.item()) == before


def test_large_features_are_scaled_down_and_small_ones_are_not():
    """A step of Adam moves an output by up to the step size times the sum of magnitudes."""
    rows = torch.randn(64, 16, 128, generator=torch.Generator().manual_seed(0))
    for deviation in (0.1, 1.0, 5.0):
        centring = Centring(128)
        found = centring(3.0 + deviation * rows).abs().sum(-1).mean().item()
        acting = centring.eval()(3.0 + deviation * rows).abs().sum(-1).mean().item()
        plain = deviation * rows.sub(rows.mean((0, 1))).abs().sum(-1).mean().item()
        assert found == pytest.approx(acting) == pytest.approx(min(plain, 64.0), rel=1e-4)


def test_a_step_along_the_mean_features_makes_no_action_likelier_everywhere():
    torch.manual_seed(0)
    policy = Policy(
        (3,),
        "float32",
        4,
        EncoderConfig(kind="mlp", size=8),
        CoreConfig(kind="lstm", num_layers=1, hidden_size=8),
        PolicyConfig(centre_features=True),
    )
    inputs = (
        torch.randn(50, 6, 3),
        torch.zeros(50, 6),
        torch.full((50, 6), NO_ACTION),
        torch.zeros(50, 6, dtype=torch.bool),
        policy.initial_state(6),
    )
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
