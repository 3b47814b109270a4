"""The two Atari paths agree, frame for frame, except where they cannot.

Named differences:
1. Random draws. The number of no-ops and the sticky actions come from different generators, so
   runs are compared with neither, and the no-ops by the set of games they can begin.
2. The picture of a game's very last step. When a game ends within the four frames of a step,
   gymnasium shows the step before and envpool the frames it has. It is no row that anyone acts
   on, and its value is not used, because it is terminal.
"""

from dataclasses import replace

import ale_py
import gymnasium
import numpy as np
import pytest

from envs import EnvConfig, make_env
from envs.atari.presets import PRESETS
from envs.atari.scores import atari_games
from envs.spec import EnvStep

B = 2


def without_chance(preset):
    return replace(PRESETS[preset], noop_max=1, repeat_action_probability=0.0)


def play(game, config, backend, num_steps):
    env = make_env(game, config, B, 3, backend)
    rng = np.random.default_rng(1)
    steps = []
    for _ in range(num_steps):
        steps.append(env.recv())
        env.send(rng.integers(env.spec.num_actions, size=B))
    env.close()
    return EnvStep(*map(np.stack, zip(*steps, strict=True)))


@pytest.mark.parametrize(
    ("game", "config"),
    [
        ("Breakout", EnvConfig(preset="impala", frame_size=42)),
        ("Breakout", EnvConfig(preset="machado2018", frame_size=42)),
        ("Seaquest", EnvConfig(frame_size=84)),
        ("Pong", EnvConfig(frame_size=42, frame_stack=1, life_loss="ignore")),
    ],
    ids=["Breakout-impala", "Breakout-machado2018", "Seaquest-default", "Pong-ignore"],
)
@pytest.mark.parametrize("max_episode_steps", [100, 27_000])
def test_same_actions_same_rows(game, config, max_episode_steps, monkeypatch):
    preset = replace(without_chance(config.preset), max_episode_steps=max_episode_steps)
    monkeypatch.setitem(PRESETS, config.preset, preset)
    ours, theirs = (play(game, config, backend, 320) for backend in ("gymnasium", "envpool"))

    for name in ("reward", "start", "terminated", "truncated", "game_over", "lives"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    shown = ~ours.game_over
    np.testing.assert_array_equal(ours.observation[shown], theirs.observation[shown])
    assert ours.truncated.any() == (max_episode_steps == 100)
    assert ours.reward.any()


TALL = ["Adventure", "AirRaid", "Carnival", "JourneyEscape", "KeystoneKapers", "KingKong", "Klax"]
TALL += ["LaserGates", "MrDo", "Pacman", "Pooyan", "SirLancelot", "SpaceWar"]
QUICK = ["Adventure", "Pooyan"]


@pytest.mark.parametrize(
    "game",
    [
        game if game in QUICK else pytest.param(game, marks=pytest.mark.slow)
        for game in (name.removesuffix("-v5") for name in atari_games())
    ],
)
def test_every_game_looks_and_plays_the_same_in_both(game, monkeypatch):
    monkeypatch.setitem(PRESETS, "default", without_chance("default"))
    config = EnvConfig(life_loss="end_episode", num_threads=1)
    ours, theirs = (play(game, config, backend, 60) for backend in ("gymnasium", "envpool"))
    for name in ("reward", "start", "terminated", "truncated", "game_over", "lives"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name), err_msg=name)
    shown = ~ours.game_over
    np.testing.assert_array_equal(ours.observation[shown], theirs.observation[shown])


@pytest.mark.slow
def test_games_of_tall_screens_are_those_that_are_tested():
    gymnasium.register_envs(ale_py)
    tall = []
    for game in atari_games():
        env = gymnasium.make(f"ALE/{game}", disable_env_checker=True)
        if env.observation_space.shape != (210, 160, 3):
            tall.append(game.removesuffix("-v5"))
        env.close()
    assert tall == TALL
    assert set(QUICK) <= set(TALL)


@pytest.mark.slow
def test_games_begin_from_the_same_set_of_no_ops(monkeypatch):
    monkeypatch.setitem(PRESETS, "default", replace(PRESETS["default"], noop_max=3))
    config = EnvConfig(frame_stack=1)
    begins = []
    for backend in ("gymnasium", "envpool"):
        env = make_env("Seaquest", config, 12, 0, backend)
        begins.append({frame.tobytes() for frame in env.recv().observation})
        env.close()
    assert begins[0] == begins[1]
    assert len(begins[0]) == 3


def test_environment_i_plays_with_seed_plus_i():
    config = EnvConfig(preset="machado2018", frame_size=42)
    together = make_env("Breakout", config, 3, 40, "gymnasium")
    alone = [make_env("Breakout", config, 1, 40 + i, "gymnasium") for i in range(3)]
    for _ in range(60):
        row = together.recv()
        for i, env in enumerate(alone):
            np.testing.assert_array_equal(row.observation[i], env.recv().observation[0])
            env.send(np.ones(1, np.int64))
        together.send(np.ones(3, np.int64))


def test_send_needs_a_recv():
    env = make_env("Pong", EnvConfig(frame_size=42), 1, 0, "gymnasium")
    with pytest.raises(ValueError, match="call recv first"):
        env.send(np.zeros(1, np.int64))
    env.close()
