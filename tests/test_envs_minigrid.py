"""MiniGrid: the packed observation, the return of the Memory game, the step limit."""

from functools import partial

import envpool
import numpy as np
import pytest

from envs import EnvConfig, make_env
from envs.minigrid import GAMES
from envs.minigrid.env import EnvpoolMiniGrid
from envs.seeds import game_seeds

GAME = "MiniGrid-MemoryS7-v0"
SIZES = {"S7": 7, "S9": 9, "S11": 11, "S13": 13, "S13Random": 13, "S17Random": 17}
FORWARD, NUM_TURNS_AND_FORWARD = 2, 3


def test_an_observation_is_envpools_dictionary_in_one_vector():
    env = make_env(GAME, EnvConfig(num_threads=1), 4, seed=3)
    raw = envpool.make_gymnasium(
        GAME, num_envs=4, batch_size=4, num_threads=1, seed=game_seeds(3, 4)
    )
    raw.async_reset()
    rng = np.random.default_rng(0)
    for _ in range(30):
        expected, reward, _, _, _ = raw.recv()
        step = env.recv()
        np.testing.assert_array_equal(
            step.observation[:, :-1].reshape(4, 7, 7, 3), expected["image"]
        )
        np.testing.assert_array_equal(step.observation[:, -1], expected["direction"])
        np.testing.assert_array_equal(step.reward, reward)
        action = rng.integers(NUM_TURNS_AND_FORWARD, size=4)
        env.send(action)
        raw.send(action, np.arange(4, dtype=np.int32))
    env.close()
    raw.close()


def test_the_right_object_is_worth_one_less_the_time_taken_and_the_wrong_one_nothing():
    env = make_env(GAME, EnvConfig(num_threads=1), 64, seed=0)
    rng = np.random.default_rng(0)
    elapsed, returns = np.zeros(64), []
    for _ in range(200):
        step = env.recv()
        np.testing.assert_allclose(
            step.reward, np.where(step.reward > 0, 1 - 0.9 * elapsed / 245, 0), rtol=1e-5
        )
        assert (step.game_over | (step.reward == 0)).all()
        returns += step.reward[step.game_over].tolist()
        elapsed = np.where(step.valid, elapsed + 1, 0)
        env.send(np.where(rng.random(64) < 0.6, FORWARD, rng.integers(2, size=64)))
    env.close()
    assert 0.2 < np.mean(np.array(returns) > 0) < 0.8
    assert len(returns) > 20


def test_the_games_offered_are_the_memory_games_of_envpool_and_their_mission_never_changes():
    ids = [i for i in envpool.list_all_envs() if i.startswith("MiniGrid-Memory")]
    assert sorted(ids) == sorted(GAMES) == sorted(f"MiniGrid-Memory{s}-v0" for s in SIZES)
    for game in GAMES:
        raw = envpool.make_gymnasium(game, num_envs=16, batch_size=16, num_threads=1, seed=0)
        raw.async_reset()
        missions = raw.recv()[0]["mission"]
        assert (missions == missions[0]).all()
        raw.close()


@pytest.mark.parametrize("size", SIZES)
def test_every_size_plays_and_its_limit_is_five_times_its_area(size):
    env = make_env(f"MiniGrid-Memory{size}-v0", EnvConfig(num_threads=1), 1, seed=0)
    limit = 5 * SIZES[size] ** 2
    for t in range(limit + 1):
        assert env.recv().truncated.all() == (t == limit)
        env.send(np.zeros(1, np.int64))  # turns on the spot
    env.close()


def test_symbols_stay_within_the_counts_of_the_spec():
    env = make_env("MiniGrid-MemoryS13Random-v0", EnvConfig(num_threads=1), 32, seed=1)
    rng = np.random.default_rng(0)
    most = np.zeros(len(env.spec.symbols), np.int64)
    for _ in range(300):
        most = np.maximum(most, env.recv().observation.max(axis=0))
        env.send(rng.integers(env.spec.num_actions, size=32))
    env.close()
    assert (most < env.spec.symbols).all()
    assert most[-1] == 3  # every direction


@pytest.mark.parametrize("game", ["MiniGrid-Fetch-5x5-N2-v0", "MiniGrid-MemoryS8-v0"])
def test_other_games_of_minigrid_are_refused_with_the_reason(game):
    with pytest.raises(ValueError, match=f"{game} is not offered: .*MemoryS17Random-v0, whose"):
        make_env(game, EnvConfig(), 1, 0)


def test_the_step_limit_cuts_a_game(monkeypatch):
    short = partial(envpool.make_gymnasium, max_episode_steps=5)
    monkeypatch.setattr(envpool, "make_gymnasium", short)
    env = EnvpoolMiniGrid(GAME, EnvConfig(num_threads=1), 2, seed=0)
    cut = []
    for _ in range(12):
        step = env.recv()
        assert not step.terminated.any()
        assert not step.game_over.any()
        cut.append(step.truncated.all())
        env.send(np.zeros(2, np.int64))  # turns on the spot
    env.close()
    assert [t for t, is_cut in enumerate(cut) if is_cut] == [5, 11]
