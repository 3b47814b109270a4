"""The probe says of every row whose it is, so that tests of actor and queue can rely on it."""

import numpy as np

from envs import EnvConfig, make_env
from tests.probe import NUM_ACTIONS, decode_reward, encode_reward, episode_length

B = 4


def test_observation_and_reward_say_whose_row_this_is():
    env = make_env("probe", EnvConfig(life_loss="ignore"), B, seed=9)
    rng = np.random.default_rng(0)
    episode, elapsed = np.zeros(B, int), np.zeros(B, int)
    action = np.full(B, -1)
    for _ in range(100):
        row = env.recv()
        expected = np.stack([np.full(B, 9), np.arange(B), episode, elapsed, action], axis=1)
        np.testing.assert_array_equal(row.observation, expected)
        for i in range(B):
            if elapsed[i] > 0:
                digits = {name: int(d[i]) for name, d in decode_reward(row.reward).items()}
                assert digits == {
                    "env": i,
                    "episode": episode[i],
                    "step": elapsed[i] - 1,
                    "action": action[i],
                }
            else:
                assert row.reward[i] == 0
        ended = elapsed == 3 + (7 * np.arange(B) + 5 * episode) % 11
        np.testing.assert_array_equal(row.truncated, ended & (episode % 2 == 1))
        np.testing.assert_array_equal(row.game_over, ended & (episode % 2 == 0))
        sent = rng.integers(NUM_ACTIONS, size=B)
        env.send(sent)
        episode, elapsed = episode + ended, np.where(ended, 0, elapsed + 1)
        action = np.where(ended, -1, sent)
    assert episode.min() > 5


def test_rewards_are_exact_and_no_two_alike():
    env, episode, step, action = np.meshgrid(
        np.arange(64), np.arange(64), np.arange(14), np.arange(NUM_ACTIONS)
    )
    reward = encode_reward(env, episode, step, action)
    assert reward.dtype == np.float32
    assert reward.min() > 0
    assert len(np.unique(reward)) == reward.size
    digits = decode_reward(reward)
    for name, expected in {"env": env, "episode": episode, "step": step, "action": action}.items():
        np.testing.assert_array_equal(digits[name], expected)


def test_neighbouring_episodes_differ_in_length():
    env, episode = np.meshgrid(np.arange(64), np.arange(64), indexing="ij")
    length = episode_length(env, episode)
    assert length.min() == 3
    assert length.max() == 13
    assert (np.diff(length, axis=0) != 0).all()
    assert (np.diff(length, axis=1) != 0).all()
