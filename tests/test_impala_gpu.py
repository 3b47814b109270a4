"""The device path: what a GPU does must be what the plain calls would do."""

import numpy as np
import pytest
import torch

from agents.impala.acting import EagerActStep, make_act_step
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.trainer import Trainer, make_policy
from agents.impala.upload import Uploader
from envs import EnvConfig, make_env
from models.cores import CoreConfig
from models.encoders import EncoderConfig
from models.policy import NO_ACTION

CORES = ("feedforward", "lstm", "linear_transformer", "delta_net", "delta_rnn", "rdn")
B = 5


def config(core, **options):
    return TrainConfig(
        game="tmaze",
        env=EnvConfig(length=4),
        encoder=EncoderConfig(kind="mlp"),
        core=CoreConfig(kind=core),
        learner=LearnerConfig(unroll_length=6, batch_size=B),
        total_frames=6 * B * 4,
        **options,
    )


def rows(num, device):
    """Observations, last rewards, last actions and starts of num steps, each [1, B, ...]."""
    env = make_env("tmaze", EnvConfig(length=4), B, seed=3)
    for _ in range(num):
        step = env.recv()
        given = (step.observation, step.reward, np.full(B, NO_ACTION), step.start)
        yield tuple(torch.from_numpy(x)[None].to(device) for x in given)
        env.send(np.zeros(B, dtype=np.int64))


@pytest.mark.gpu
@pytest.mark.parametrize("core", CORES)
def test_a_captured_step_is_the_plain_step(core):
    device = torch.device("cuda")
    spec = make_env("tmaze", EnvConfig(length=4), B, seed=3).spec
    policy = make_policy(config(core), spec).to(device)
    plain = EagerActStep(policy, torch.Generator(device).manual_seed(1))
    graphed = make_act_step(policy, torch.Generator(device).manual_seed(1))
    assert type(graphed) is not EagerActStep
    expected_state = policy.initial_state(B, device)
    state = policy.initial_state(B, device)
    for given in rows(10, device):
        action, log_prob, state = graphed(*given, state)
        expected, expected_log_prob, expected_state = plain(*given, expected_state)
        assert torch.equal(action, expected)
        torch.testing.assert_close(log_prob, expected_log_prob)
        torch.testing.assert_close(state, expected_state)
        with torch.no_grad():  # new weights, at the same addresses, are the ones that act
            policy.policy_head.bias.add_(torch.randn_like(policy.policy_head.bias))


@pytest.mark.gpu
def test_async_training_on_a_device_does_not_depend_on_timing():
    def final_weights():
        trainer = Trainer(config("rdn", mode="async", exact_lag=1, device="cuda", num_groups=1))
        list(trainer.rows())
        trainer.close()
        return torch.cat([p.flatten() for p in trainer.policy.parameters()])

    assert torch.equal(final_weights(), final_weights())


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_an_upload_arrives_whole(device):
    uploader = Uploader(torch.device(device))
    array = np.random.default_rng(0).integers(0, 256, (B, 4, 84, 84), dtype=np.uint8)
    target = torch.zeros(3, B, 4, 84, 84, dtype=torch.uint8, device=device)
    uploader.write(target[1], array)
    uploader.wait()
    assert torch.equal(target[1].cpu(), torch.from_numpy(array))
    assert not target[[0, 2]].any()
