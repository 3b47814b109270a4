"""What decays over a run, and a step size that is led."""

import dataclasses
from contextlib import closing

import pytest

from agents.impala.schedules import desired_kl, step_size
from agents.impala.step_factor import next_factor
from agents.impala.trainer import Trainer
from tests.small_runs import CONFIG, LEARNER, train


def test_the_step_size_is_led_by_how_far_a_rollout_moves_the_policy():
    assert next_factor(1.0, 0.021, 0.01) == 1 / 1.5
    assert next_factor(1.0, 0.004, 0.01) == 1.5
    assert next_factor(0.7, 0.006, 0.01) == next_factor(0.7, 0.019, 0.01) == 0.7
    assert next_factor(1.8, 0.0, 0.01) == 2.0
    assert next_factor(0.04, 9.0, 0.01) == 1 / 32

    learner = dataclasses.replace(LEARNER, desired_kl=1e-9, anneal=False)
    with closing(Trainer(dataclasses.replace(CONFIG, learner=learner))) as trainer:
        rows = train(trainer, 3)
        rate = trainer.learner.optimizer.param_groups[0]["lr"]
    rates = [row["learner/learning_rate"] for row in rows]
    wanted = [learner.learning_rate / 1.5**n for n in range(3)]
    assert rates == pytest.approx(wanted)
    assert rate == rates[-1]


def test_the_desired_kl_decays_as_the_step_size_does():
    learner = dataclasses.replace(LEARNER, desired_kl=0.02)
    assert desired_kl(learner, 0, 100) == 0.02
    assert desired_kl(learner, 75, 100) == pytest.approx(0.02 / 4)
    assert desired_kl(dataclasses.replace(learner, anneal=False), 75, 100) == 0.02
    assert desired_kl(LEARNER, 75, 100) is None


def test_the_step_size_stays_until_the_cooldown_begins():
    learner = dataclasses.replace(LEARNER, learning_rate=1.0, cooldown=0.4)
    sizes = [step_size(learner, frames, 100) for frames in (0, 60, 80, 100, 120)]
    assert sizes == pytest.approx([1.0, 1.0, 0.5, 0.0, 0.0])
