"""Acting and learning at once: the lag of the policy, and ends of either side."""

import dataclasses
import threading
import time

import pytest
import torch

from agents.impala.queue import RolloutQueue
from agents.impala.trainer import Trainer
from agents.impala.weights import WeightStore
from tests.small_runs import CONFIG, LEARNER, train, weights


def async_config(**settings):
    return dataclasses.replace(CONFIG, mode="async", num_actors=2, **settings)


def test_async_never_exceeds_the_lag_and_leaves_no_thread():
    per_rollout = LEARNER.updates_per_rollout
    before = threading.active_count()
    rows = train(Trainer(async_config(max_policy_lag=2 * per_rollout)), 40)
    assert len(rows) == 40
    assert all(0 <= row["learner/lag_updates"] <= 2 * per_rollout for row in rows)
    assert threading.active_count() == before


def test_a_lag_below_the_updates_of_a_rollout_is_refused_with_both_numbers():
    per_rollout = LEARNER.updates_per_rollout
    with pytest.raises(
        ValueError, match=rf"max_policy_lag \({per_rollout - 1}\) .* \({per_rollout} ="
    ):
        async_config(max_policy_lag=per_rollout - 1)
    async_config(max_policy_lag=per_rollout)


def test_async_without_lag_is_on_policy():
    rows = train(Trainer(async_config(max_policy_lag=0)), 10)
    assert all(row["learner/lag_updates"] == 0 for row in rows)


def test_exact_lag_does_not_depend_on_timing(monkeypatch):
    begin, runs = RolloutQueue.begin, []
    for delay_seconds in (0.0, 0.05):

        def begin_late(queue, number, *, num_learned, delay_seconds=delay_seconds):
            if number % 2 == 0:
                time.sleep(delay_seconds)  # the learner publishes newer weights meanwhile
            return begin(queue, number, num_learned=num_learned)

        monkeypatch.setattr(RolloutQueue, "begin", begin_late)
        trainer = Trainer(async_config(exact_lag=2, max_policy_lag=20))
        runs.append((train(trainer, 12), weights(trainer)))
    assert runs[0][0] == runs[1][0]
    assert torch.equal(runs[0][1], runs[1][1])
    lags = [row["learner/lag_updates"] / LEARNER.updates_per_rollout for row in runs[0][0]]
    assert lags == [0, 1] + [2] * 10


def test_an_actor_that_fails_stops_the_run_with_its_cause():
    trainer = Trainer(async_config())

    def fail(action):
        raise OSError("the emulator died")

    trainer.crews[1][0].env.send = fail
    with pytest.raises(OSError, match="the emulator died"):
        train(trainer, 50)


def test_actors_stop_at_the_lag_bound_while_the_learner_is_away():
    trainer = Trainer(async_config(max_policy_lag=2 * LEARNER.updates_per_rollout))
    rollouts = trainer.rows()
    next(rollouts)
    time.sleep(1.0)  # actors fill what they may
    lags = [next(rollouts)["learner/lag_updates"] for _ in range(3)]
    rollouts.close()
    assert max(lags) == 2 * LEARNER.updates_per_rollout


def test_a_weight_store_gives_exactly_the_weights_asked_for():
    trainer, store = Trainer(CONFIG), WeightStore(num_kept=2)
    target = Trainer(dataclasses.replace(CONFIG, seed=4)).policy
    published = []
    for number in range(3):
        store.publish(trainer.policy, num_learned=number, version=10 * number)
        published.append(weights(trainer))
        train(trainer, 1)
    assert store.load(target, 1) == 10
    assert torch.equal(torch.cat([p.flatten() for p in target.parameters()]), published[1])
    assert store.load(target) == 20
    assert torch.equal(torch.cat([p.flatten() for p in target.parameters()]), published[2])
