"""The step size: its decay by hand, and that it finds the target from either side."""

from dataclasses import replace

import pytest

from agents.impala.config import LearnerConfig
from agents.impala.step_size import CHANGE, LIMIT, StepSize

CONFIG = LearnerConfig(learning_rate=0.1, num_passes=2, target_kl=0.02)


def test_it_decays_linearly_to_nothing():
    step_size = StepSize(CONFIG, total_updates=10)
    assert [step_size.at(v) for v in (0, 5, 10, 12)] == pytest.approx([0.1, 0.05, 0.0, 0.0])
    constant = StepSize(replace(CONFIG, anneal=False), total_updates=10)
    assert constant.at(5) == pytest.approx(0.1)


def test_it_reacts_outside_the_tolerance_only():
    step_size = StepSize(CONFIG, total_updates=10**6)
    for divergence, factor in ((0.025, 1.0), (0.014, 1.0), (0.04, 1 / CHANGE), (0.001, 1.0)):
        step_size.adapt(divergence, 0)
        assert step_size.factor == pytest.approx(factor), divergence


def test_the_target_decays_with_the_run():
    step_size = StepSize(CONFIG, total_updates=10)
    step_size.adapt(0.02, 5)  # twice the target of 0.01
    assert step_size.factor == pytest.approx(1 / CHANGE)


@pytest.mark.parametrize("sensitivity", [0.1, 10.0])
def test_it_finds_the_target_from_either_side(sensitivity):
    """A policy that moves by sensitivity * (step / 0.1)^2 ends within the tolerance."""
    step_size = StepSize(replace(CONFIG, anneal=False), total_updates=1)
    for _ in range(200):
        divergence = sensitivity * 0.02 * (step_size.at(0) / 0.1) ** 2
        step_size.adapt(divergence, 0)
    assert 0.02 / 1.5 <= divergence <= 0.02 * 1.5


@pytest.mark.parametrize(("divergence", "factor"), [(1.0, 1 / LIMIT), (0.0, LIMIT)])
def test_it_stays_within_its_limits(divergence, factor):
    step_size = StepSize(CONFIG, total_updates=10**6)
    for _ in range(200):
        step_size.adapt(divergence, 0)
    assert step_size.factor == pytest.approx(factor)


def test_without_a_target_it_does_nothing():
    step_size = StepSize(replace(CONFIG, target_kl=0.0), total_updates=10)
    step_size.adapt(1.0, 0)
    assert step_size.factor == 1.0


def test_a_target_needs_passes_to_compare():
    with pytest.raises(ValueError, match="num_passes must be > 1"):
        LearnerConfig(target_kl=0.01)
