"""The probe through real actors, threads and queue: what the learner takes is what was played."""

import copy
import time
from types import SimpleNamespace

import pytest
import torch

from agents.impala.actor import Actor
from agents.impala.config import TrainConfig
from agents.impala.rollout import Rollout
from agents.impala.threads import ActorThreads
from envs import EnvConfig, make_env
from tests.test_impala_actor import (
    GAMMA,
    SEED,
    B,
    CountingPolicy,
    T,
    assert_core_state_counts_rows_since_the_last_start,
    assert_rollouts_follow_each_other_and_lose_no_row,
    assert_rows_say_what_their_actions_led_to,
)

NUM_ROLLOUTS = 24


def make_crews(num_crews):
    crews = []
    for number in range(num_crews):
        env = make_env("probe", EnvConfig(life_loss="ignore"), B, seed=number)
        policy = CountingPolicy(env.spec.num_actions)
        generator = torch.Generator().manual_seed(number)
        crews.append([Actor(env, policy, columns=slice(0, B), discount=GAMMA, generator=generator)])
    return crews


def learn(num_crews, num_slots, learner_seconds):
    """Plays NUM_ROLLOUTS with a learner that only looks; returns copies of what it was given."""
    crews = make_crews(num_crews)
    actor = crews[0][0]
    slots = [
        Rollout.allocate(actor.env.spec, T, B, actor.core_state, torch.device("cpu"))
        for _ in range(num_slots)
    ]
    learner = SimpleNamespace(policy=CountingPolicy(actor.env.spec.num_actions), version=0)
    threads = ActorThreads(crews, slots, TrainConfig(), first=0, last=NUM_ROLLOUTS)
    taken = []
    with threads.running(learner):
        for number in range(NUM_ROLLOUTS):
            rollout = threads.queue.take()
            taken.append(copy.deepcopy(rollout))
            time.sleep(learner_seconds)  # in which actors fill every slot that is free
            assert torch.equal(rollout.observation, taken[-1].observation)
            assert torch.equal(rollout.core_state[0], taken[-1].core_state[0])
            learner.version = number + 1
            threads.publish(learner, number + 1)
    return taken


@pytest.mark.parametrize("learner_seconds", [0.0, 0.01])
@pytest.mark.parametrize(("num_crews", "num_slots"), [(1, 1), (1, 2), (2, 3), (3, 2)])
def test_no_row_is_lost_doubled_or_shifted_on_its_way_to_the_learner(
    num_crews, num_slots, learner_seconds
):
    rollouts = learn(num_crews, num_slots, learner_seconds)
    for number, rollout in enumerate(rollouts):
        assert (rollout.observation[..., SEED] == number % num_crews).all()
        assert 0 <= number - rollout.version < num_slots
        assert_rows_say_what_their_actions_led_to(rollout)
    for crew in range(num_crews):
        played = rollouts[crew::num_crews]
        assert_rollouts_follow_each_other_and_lose_no_row(played)
        assert_core_state_counts_rows_since_the_last_start(played, "ignore")
