"""The policy: one forward for acting and learning, over every core."""

import pytest
import torch

from models.cores import CORES, CoreConfig
from models.encoders import EncoderConfig
from models.policy import NO_ACTION, Policy, PolicyConfig

T, B, A = 5, 3, 6
SMALL = {"hidden_size": 32, "num_heads": 2, "feedforward_size": 40}


def build(kind="rdn", encoder="small", **options):
    torch.manual_seed(0)
    shape, dtype = ((9,), "float32") if encoder == "mlp" else ((4, 42, 42), "uint8")
    config = EncoderConfig(kind=encoder, precision="float32", size=16)
    core = CoreConfig(kind=kind, kernel="reference", **SMALL)
    return Policy(shape, dtype, A, config, core, **options)


def unroll(seed=1):
    rng = torch.Generator().manual_seed(seed)
    observation = torch.randint(0, 256, (T, B, 4, 42, 42), generator=rng, dtype=torch.uint8)
    last_reward = 3 * torch.randn(T, B, generator=rng)
    last_action = torch.randint(0, A, (T, B), generator=rng)
    start = torch.zeros(T, B, dtype=torch.bool)
    start[0], start[2, 1] = True, True
    last_action[start] = NO_ACTION
    return observation, last_reward, last_action, start


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
    inputs = unroll()
    want, want_last = policy(*inputs, policy.initial_state(B))
    state, outputs = policy.initial_state(B), []
    with torch.inference_mode():
        for t in range(T):
            row = slice(t, t + 1)
            output, state = policy(*(x[row] for x in inputs), state)
            outputs.append(output)
    for got, expected in zip(map(torch.cat, zip(*outputs, strict=True)), want, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)
    for got, expected in zip(state, want_last, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=1e-6)


def test_the_last_reward_enters_clipped():
    policy = build("feedforward")
    observation, _, last_action, start = unroll()

    def logits(reward):
        return policy(observation, torch.full((T, B), reward), last_action, start, ())[0].logits

    assert torch.equal(logits(7.0), logits(1.0))
    assert torch.equal(logits(-7.0), logits(-1.0))
    assert not torch.allclose(logits(0.5), logits(1.0))


def core_input(policy, given):
    """Returns what the core is given of an unroll."""
    seen = {}
    policy.core.register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
    policy(*given, ())
    return seen["x"]


def test_the_last_reward_can_be_left_out():
    policy = build("feedforward", config=PolicyConfig(last_reward=False))
    given = unroll()
    assert torch.equal(core_input(policy, given), policy.encode(given[0]))


def test_the_last_action_enters_as_one_hot_behind_features_and_reward():
    policy = build("feedforward", config=PolicyConfig(last_action=True))
    given = unroll()
    _, _, last_action, start = given
    x = core_input(policy, given)
    assert x.shape == (T, B, 16 + 1 + A)
    for t in range(T):
        for b in range(B):
            expected = [float(last_action[t, b] == a) for a in range(A)]
            assert x[t, b, -A:].tolist() == expected
    assert not x[start, -A:].any()


def test_the_last_action_is_not_seen_unless_asked_for():
    policy, (observation, last_reward, last_action, start) = build("feedforward"), unroll()
    outputs = [
        policy(observation, last_reward, actions, start, ())[0].logits
        for actions in (last_action, torch.zeros_like(last_action))
    ]
    assert torch.equal(*outputs)


@pytest.mark.parametrize("last_action", [False, True])
@pytest.mark.parametrize("kind", CORES)
def test_gradient_reaches_every_parameter(kind, last_action):
    policy = build(kind, config=PolicyConfig(last_action=last_action))
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
    output, _ = policy(torch.randn(T, B, 9), *unroll()[1:], policy.initial_state(B))
    assert output.logits.shape == (T, B, A)


def test_an_encoder_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="mlp would"):
        Policy((9,), "float32", A, EncoderConfig(kind="small"), CoreConfig())
