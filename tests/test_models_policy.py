"""The policy: one forward for acting and learning, over every core."""

import pytest
import torch

from models.cores import CORES, CoreConfig
from models.encoders import EncoderConfig
from models.policy import Policy

T, B, A = 5, 3, 6
SMALL = {"hidden_size": 32, "num_heads": 2, "feedforward_size": 40}


def build(kind="rdn", encoder="small"):
    torch.manual_seed(0)
    shape, dtype = ((9,), "float32") if encoder == "mlp" else ((4, 42, 42), "uint8")
    config = EncoderConfig(kind=encoder, precision="float32", size=16)
    return Policy(shape, dtype, A, config, CoreConfig(kind=kind, kernel="reference", **SMALL))


def unroll(seed=1):
    rng = torch.Generator().manual_seed(seed)
    observation = torch.randint(0, 256, (T, B, 4, 42, 42), generator=rng, dtype=torch.uint8)
    last_reward = 3 * torch.randn(T, B, generator=rng)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0], start[2, 1] = True, True
    return observation, last_reward, start


@pytest.mark.parametrize("kind", CORES)
def test_outputs_are_float32_and_time_major(kind):
    policy = build(kind)
    output, state = policy(*unroll(), policy.initial_state(B))
    assert output.logits.shape == (T, B, A)
    assert output.value.shape == (T, B)
    tensors = (*output, *state)
    assert all(x.dtype == torch.float32 and x.isfinite().all() for x in tensors)
    assert [s.shape for s in state] == [s.shape for s in policy.initial_state(B)]


# Worst difference of 10 seeds: 2.4e-7 (AVX-512 CPU, 2026-11-24).
@pytest.mark.parametrize("kind", CORES)
def test_acting_step_by_step_is_the_learner_s_forward(kind):
    policy = build(kind)
    observation, last_reward, start = unroll()
    want, want_last = policy(observation, last_reward, start, policy.initial_state(B))
    state, outputs = policy.initial_state(B), []
    with torch.inference_mode():
        for t in range(T):
            row = slice(t, t + 1)
            output, state = policy(observation[row], last_reward[row], start[row], state)
            outputs.append(output)
    for got, expected in zip(map(torch.cat, zip(*outputs, strict=True)), want, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    for got, expected in zip(state, want_last, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_the_last_reward_enters_clipped():
    policy = build("feedforward")
    observation, _, start = unroll()

    def logits(reward):
        return policy(observation, torch.full((T, B), reward), start, ())[0].logits

    assert torch.equal(logits(7.0), logits(1.0))
    assert torch.equal(logits(-7.0), logits(-1.0))
    assert not torch.allclose(logits(0.5), logits(1.0))


@pytest.mark.parametrize("kind", CORES)
def test_gradient_reaches_every_parameter(kind):
    policy = build(kind)
    output, _ = policy(*unroll(), policy.initial_state(B))
    (output.logits.square().sum() + output.value.square().sum()).backward()
    idle = [
        name
        for name, p in policy.named_parameters()
        if p.grad is None or not p.grad.abs().sum() > 0
    ]
    assert idle == []


def test_vectors_take_the_mlp():
    policy = build("lstm", "mlp")
    _, last_reward, start = unroll()
    output, _ = policy(torch.randn(T, B, 9), last_reward, start, policy.initial_state(B))
    assert output.logits.shape == (T, B, A)


def test_an_encoder_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="mlp would"):
        Policy((9,), "float32", A, EncoderConfig(kind="small"), CoreConfig())
