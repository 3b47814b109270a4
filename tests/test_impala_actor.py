"""The probe environment and a counting core through the real actor: no row lost or misplaced."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import nn

from agents.impala.acting import sample_action
from agents.impala.actor import Actor, collect
from agents.impala.rollout import Rollout
from envs import EnvConfig, make_env
from models.policy import PolicyOutput
from tests.probe import NO_ACTION, decode_reward, episode_length

T, B, GAMMA = 7, 6, 0.9
SEED, ENV, EPISODE, STEP, ACTION = range(5)


class CountingPolicy(nn.Module):
    """Its state counts the rows since the last start; its value is that count."""

    def __init__(self, num_actions):
        super().__init__()
        self.bias = nn.Parameter(torch.linspace(-1.0, 1.0, num_actions))

    def initial_state(self, batch_size, device=None):
        return (torch.zeros(batch_size, 1, device=device),)

    def forward(self, observation, last_reward, last_action, start, state):
        (count,), values = state, []
        for start_B in start:
            count = torch.where(start_B[:, None], 0.0, count) + 1
            values.append(count[:, 0])
        T, B = start.shape
        return PolicyOutput(self.bias.expand(T, B, -1), torch.stack(values)), (count,)


def make_rollouts(num_rollouts, life_loss, num_groups=1):
    """Plays the probe with `num_groups` actors side by side; rollouts in order."""
    size = B // num_groups
    actors = []
    for group in range(num_groups):
        env = make_env("probe", EnvConfig(life_loss=life_loss), size, seed=100 + group)
        actors.append(
            Actor(
                env,
                CountingPolicy(env.spec.num_actions),
                columns=slice(group * size, (group + 1) * size),
                discount=GAMMA,
                generator=torch.Generator().manual_seed(group),
            )
        )
    rollouts = []
    for _ in range(num_rollouts):
        state = actors[0].policy.initial_state(B)
        rollout = Rollout.allocate(actors[0].env.spec, T, B, state, torch.device("cpu"))
        collect(actors, rollout)
        rollouts.append(rollout)
    return rollouts, actors


@pytest.mark.parametrize("num_groups", [1, 2])
@pytest.mark.parametrize("life_loss", ["ignore", "zero_discount", "end_episode"])
def test_every_row_says_what_its_action_led_to(life_loss, num_groups):
    rollouts, _ = make_rollouts(8, life_loss, num_groups)
    for r in rollouts:
        assert_rows_say_what_their_actions_led_to(r)


def assert_rows_say_what_their_actions_led_to(r):
    before, after = r.observation[:-1].numpy(), r.observation[1:].numpy()
    valid = r.valid.numpy()
    length = episode_length(before[..., ENV].astype(int), before[..., EPISODE].astype(int))
    np.testing.assert_array_equal(valid, before[..., STEP] < length)
    np.testing.assert_array_equal(after[valid][:, ACTION], r.action.numpy()[valid])
    np.testing.assert_array_equal(after[valid][:, STEP], before[valid][:, STEP] + 1)
    reward = decode_reward(r.reward.numpy()[valid])
    np.testing.assert_array_equal(reward["env"], before[valid][:, ENV])
    np.testing.assert_array_equal(reward["step"], before[valid][:, STEP])
    np.testing.assert_array_equal(reward["action"], r.action.numpy()[valid])
    assert (r.reward.numpy()[~valid] == 0).all()
    assert torch.equal(r.last_reward[1:], r.reward)
    led_here = np.where(r.start.numpy(), NO_ACTION, r.observation[..., ACTION].numpy())
    np.testing.assert_array_equal(r.last_action, led_here)
    assert not torch.isnan(r.behaviour_log_prob).any()


@pytest.mark.parametrize("life_loss", ["ignore", "zero_discount", "end_episode"])
def test_discount_is_zero_exactly_where_no_value_follows(life_loss):
    rollouts, _ = make_rollouts(8, life_loss)
    for r in rollouts:
        after = r.observation[1:].numpy().astype(int)
        ended = after[..., STEP] == episode_length(after[..., ENV], after[..., EPISODE])
        terminated = ended & (after[..., EPISODE] % 2 == 0)
        if life_loss != "ignore":
            terminated |= after[..., STEP] == 2
        expected = np.where(terminated, 0.0, np.float32(GAMMA))
        valid = r.valid.numpy()
        np.testing.assert_array_equal(r.discount.numpy()[valid], expected[valid])


def test_row_T_of_a_rollout_is_row_0_of_the_next_and_no_row_is_lost():
    rollouts, _ = make_rollouts(8, "ignore")
    assert_rollouts_follow_each_other_and_lose_no_row(rollouts)


def assert_rollouts_follow_each_other_and_lose_no_row(rollouts):
    for r, following in pairwise(rollouts):
        for name in ("observation", "last_reward", "start"):
            assert torch.equal(getattr(r, name)[-1], getattr(following, name)[0])
    rows = torch.cat([r.observation[:-1] for r in rollouts]).numpy().astype(int)
    for env in range(B):
        seen = [(e, s) for _, _, e, s, _ in rows[:, env]]
        expected = [(e, s) for e in range(40) for s in range(episode_length(env, e) + 1)]
        assert seen == expected[: len(seen)]


@pytest.mark.parametrize("life_loss", ["ignore", "end_episode"])
def test_core_state_counts_rows_since_the_last_start(life_loss):
    rollouts, _ = make_rollouts(8, life_loss)
    assert_core_state_counts_rows_since_the_last_start(rollouts, life_loss)


def assert_core_state_counts_rows_since_the_last_start(rollouts, life_loss):
    for r in rollouts[1:]:
        previous_step = r.observation[0, :, STEP].numpy()  # rows of this game before row 0
        if life_loss == "end_episode":
            previous_step = np.where(previous_step > 2, previous_step - 2, previous_step)
        fresh = r.start[0].numpy()
        np.testing.assert_array_equal(r.core_state[0][~fresh, 0].numpy(), previous_step[~fresh])
        assert (~fresh).any()


def test_finished_games_are_counted_once_with_their_whole_return():
    rollouts, _ = make_rollouts(8, "end_episode")
    rewards = torch.cat([r.reward for r in rollouts]).double()
    ends = torch.cat([~r.valid for r in rollouts])
    row_T = rollouts[-1].observation[-1].numpy().astype(int)
    ends_at_T = row_T[:, STEP] == episode_length(row_T[:, ENV], row_T[:, EPISODE])
    expected = []
    for b in range(B):
        total = 0.0
        for t in range(len(rewards)):
            if ends[t, b]:
                expected.append(total)
                total = 0.0
            total += rewards[t, b].item()
        if ends_at_T[b]:
            expected.append(total)
    episodes = [episode for r in rollouts for episode in r.episodes]
    assert sorted(e.game_return for e in episodes) == sorted(expected)
    assert all(3 <= e.length_steps <= 13 for e in episodes)


def test_a_restored_actor_writes_the_same_rollout_bit_for_bit():
    _, (actor,) = make_rollouts(3, "end_episode")
    saved = actor.state_dict()
    _, (other,) = make_rollouts(1, "end_episode")
    other.load_state_dict(saved)
    pair = []
    for a in (actor, other):
        r = Rollout.allocate(a.env.spec, T, B, a.policy.initial_state(B), torch.device("cpu"))
        collect([a], r)
        pair.append(r)
    for name in ("observation", "action", "behaviour_log_prob", "reward", "valid", "start"):
        assert torch.equal(getattr(pair[0], name), getattr(pair[1], name))
    assert torch.equal(pair[0].core_state[0], pair[1].core_state[0])


def test_actions_follow_the_softmax():
    logits = torch.tensor([0.0, 1.0, -1.0]).expand(20_000, 3)
    action, log_prob = sample_action(logits, torch.Generator().manual_seed(0))
    expected = logits[0].softmax(-1)
    frequency = torch.bincount(action, minlength=3) / len(action)
    # three standard deviations of a frequency are at most 0.0106
    assert bool((frequency - expected).abs().lt(0.011).all())
    torch.testing.assert_close(log_prob, expected.log()[action])
