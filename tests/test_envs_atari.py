"""Atari through envpool: protocols, frames, raw rewards, seeds."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from envs import EnvConfig, make_env
from envs.atari.envpool_atari import EnvpoolAtari
from envs.atari.presets import PRESETS, resolve_life_loss
from envs.seeds import game_seeds

SMALL = EnvConfig(frame_size=42)


def play(env, num_steps, action=None):
    rng = np.random.default_rng(0)
    steps = []
    for _ in range(num_steps):
        steps.append(env.recv())
        drawn = rng.integers(env.spec.num_actions, size=env.num_envs)
        env.send(drawn if action is None else np.full(env.num_envs, action))
    env.close()
    return steps


@pytest.mark.parametrize(
    ("preset", "life_loss", "max_episode_steps", "stickiness", "num_actions", "noop_max"),
    [
        ("default", "zero_discount", 27_000, 0.0, 4, 30),
        ("paper2021", "end_episode", 100_000, 0.0, 4, 30),
        ("impala", "end_episode", 27_000, 0.0, 4, 30),
        ("machado2018", "ignore", 4_500, 0.25, 18, 1),
    ],
)
def test_presets_reach_the_emulator(
    preset, life_loss, max_episode_steps, stickiness, num_actions, noop_max
):
    config = EnvConfig(preset=preset, frame_size=42)
    env = EnvpoolAtari("Breakout-v5", config, 1, 0)
    emulator = env._env.config
    assert resolve_life_loss(config) == life_loss
    assert env.spec.num_actions == num_actions
    assert emulator["max_episode_steps"] == max_episode_steps
    assert emulator["repeat_action_probability"] == stickiness
    assert emulator["noop_max"] == noop_max
    assert emulator["use_fire_reset"] == (preset != "machado2018")
    assert not emulator["episodic_life"]
    assert not emulator["reward_clip"]
    env.close()


def test_the_config_overrides_the_presets_life_loss():
    assert resolve_life_loss(EnvConfig(preset="impala", life_loss="ignore")) == "ignore"


@pytest.mark.parametrize("frame_size", [42, 84])
@pytest.mark.parametrize("frame_stack", [1, 4])
def test_frames_have_the_configured_size(frame_size, frame_stack):
    config = EnvConfig(frame_size=frame_size, frame_stack=frame_stack)
    env = make_env("Pong", config, 2, 0)
    observation = env.recv().observation
    assert env.spec.observation_shape == (frame_stack, frame_size, frame_size)
    assert observation.shape == (2, frame_stack, frame_size, frame_size)
    assert observation.dtype == np.uint8
    assert observation.std() > 10
    env.close()


def test_observations_are_envpools_own_memory():
    env = make_env("Pong", SMALL, 2, 0)
    assert not env.recv().observation.flags.owndata
    env.close()


def test_rewards_are_raw():
    rewards = np.stack([step.reward for step in play(make_env("SpaceInvaders", SMALL, 4, 0), 200)])
    assert set(np.unique(rewards)) <= {0, 5, 10, 15, 20, 25, 30, 200}
    assert rewards.max() >= 10


def test_environment_i_plays_with_seed_plus_i():
    config = EnvConfig(preset="machado2018", frame_size=42)  # sticky: the seed matters throughout
    together = play(make_env("Breakout", config, 3, seed=40), 80, action=1)
    for i in range(3):
        alone = play(make_env("Breakout", config, 1, seed=40 + i), 80, action=1)
        for ours, its in zip(together, alone, strict=True):
            np.testing.assert_array_equal(ours.observation[i], its.observation[0])


def test_seeds_beyond_31_bits_are_folded():
    assert game_seeds(2**31 - 1, 3) == [2**31 - 1, 0, 1]
    assert game_seeds(2**63, 2) == [0, 1]


def test_the_game_goes_on_after_a_lost_life(monkeypatch):
    """Both ways of counting lives see the same frames and rewards: only the flags differ."""
    monkeypatch.setitem(PRESETS, "default", replace(PRESETS["default"], max_episode_steps=90))
    ignore, end = (
        play(make_env("Breakout", EnvConfig(frame_size=42, life_loss=mode), 2, 0), 200)
        for mode in ("ignore", "end_episode")
    )
    for a, b in zip(ignore, end, strict=True):
        np.testing.assert_array_equal(a.observation, b.observation)
        np.testing.assert_array_equal(a.reward, b.reward)
        np.testing.assert_array_equal(a.lives, b.lives)
        np.testing.assert_array_equal(a.valid, b.valid)
    assert sum(step.terminated.sum() for step in end) > sum(s.terminated.sum() for s in ignore)


def test_close_ends_the_threads():
    threads = Path("/proc/self/task")
    before = len(list(threads.iterdir()))
    env = make_env("Pong", EnvConfig(), 2, 0)
    env.recv()
    assert len(list(threads.iterdir())) > before
    env.close()
    assert len(list(threads.iterdir())) == before


def test_send_needs_a_recv():
    env = make_env("Pong", SMALL, 1, 0)
    with pytest.raises(ValueError, match="call recv first"):
        env.send(np.zeros(1, np.int64))
    env.recv()
    env.send(np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="call recv first"):
        env.send(np.zeros(1, np.int64))
    env.close()
