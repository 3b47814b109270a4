"""What a learner goes back to: the same tensors with the values they had."""

import copy

import pytest
import torch

from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.snapshot import Snapshot, tensors_of
from agents.impala.trainer import Trainer
from envs import EnvConfig
from models.cores import CoreConfig
from models.encoders import EncoderConfig


def trainer_of(optimizer):
    return Trainer(
        TrainConfig(
            game="tmaze",
            env=EnvConfig(length=3),
            core=CoreConfig(kind="rdn", hidden_size=8, num_heads=2, num_layers=1),
            encoder=EncoderConfig(kind="mlp"),
            learner=LearnerConfig(
                unroll_length=5, batch_size=4, num_minibatches=2, optimizer=optimizer
            ),
            device="cpu",
        )
    )


def equal(a, b):
    if isinstance(a, torch.Tensor):
        return torch.equal(a, b)
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(equal(a[k], b[k]) for k in a)
    if isinstance(a, list):
        return len(a) == len(b) and all(map(equal, a, b))
    return a == b


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
@pytest.mark.parametrize("learned_before", [0, 2])
def test_a_learner_goes_back_to_where_it_stood(optimizer, learned_before):
    trainer = trainer_of(optimizer)
    learner, rollout = trainer.learner, trainer.collect_one()
    for _ in range(learned_before):
        learner.learn(rollout)
    snapshot = Snapshot()
    for _ in range(2):  # the second uses the first one's memory
        snapshot.take(learner)
        before = copy.deepcopy([learner.state_dict(), learner.policy.state_dict()])
        places = [x.data_ptr() for x in tensors_of(learner)]
        learner.learn(rollout)
        assert not equal(learner.policy.state_dict(), before[1])
        snapshot.restore(learner)
        assert equal([learner.state_dict(), learner.policy.state_dict()], before)
        assert [x.data_ptr() for x in tensors_of(learner)] == places
    trainer.close()


def test_a_minibatch_is_written_where_an_earlier_one_lies():
    trainer = trainer_of("adam")
    rollout = trainer.collect_one()
    target = rollout.select(torch.tensor([0, 1]))
    columns = torch.tensor([3, 1])
    rollout.select_into(target, columns)
    wanted = rollout.select(columns)
    for name, x in wanted._sequences().items():
        torch.testing.assert_close(getattr(target, name), x, equal_nan=True)
    torch.testing.assert_close(target.core_state, wanted.core_state)
    trainer.close()
