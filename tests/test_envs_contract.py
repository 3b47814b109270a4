"""What `envs.spec` promises, for every environment alike."""

from dataclasses import replace

import gymnasium
import numpy as np
import pytest

from envs import FAMILIES, EnvConfig, StatefulVecEnv, family_of, guest, make_env
from envs.atari.presets import PRESETS
from envs.memory.tasks import TASKS
from envs.spec import EnvStep

NUM_ENVS, NUM_STEPS = 3, 180
MEMORY = list(TASKS)
MINIGRID = "MiniGrid-MemoryS7-v0"
GUEST = "gymnasium:CartPole-v1"
LIFE_LOSS = ["ignore", "zero_discount", "end_episode"]
WITH_LIVES = [
    *[("probe", "envpool", life_loss) for life_loss in LIFE_LOSS],
    *[("Breakout", "envpool", life_loss) for life_loss in LIFE_LOSS],
    ("Breakout", "gymnasium", "end_episode"),
]
CUT = [(GUEST, "envpool", "ignore"), *WITH_LIVES]
CASES = [*[(game, "envpool", "ignore") for game in (*MEMORY, MINIGRID)], *CUT]


@pytest.fixture(params=CASES, ids="-".join)
def make(request, monkeypatch):
    """Makes the environment under test; games of Breakout end by game over and by the limit."""
    guest.register(GUEST, lambda: gymnasium.make("CartPole-v1", max_episode_steps=12))
    game, backend, life_loss = request.param
    short = replace(PRESETS["default"], max_episode_steps=140, repeat_action_probability=0.25)
    monkeypatch.setitem(PRESETS, "default", short)
    config = EnvConfig(life_loss=life_loss, frame_size=42)
    return lambda seed=5: make_env(game, config, NUM_ENVS, seed, backend), life_loss


def play(env, other_actions_at_invalid_rows=False):
    """Returns NUM_STEPS rows under given actions, each with a copy made on arrival."""
    rng = np.random.default_rng(0)
    steps = []
    for _ in range(NUM_STEPS):
        step = env.recv()
        steps.append((step, EnvStep(*(array.copy() for array in step))))
        action = rng.integers(env.spec.num_actions, size=NUM_ENVS)
        action[0] = 1  # FIRE in Breakout, where it loses every ball in time for a game over
        if other_actions_at_invalid_rows:
            action = np.where(step.valid, action, (action + 1) % env.spec.num_actions)
        env.send(action)
    env.close()
    return steps


def stacked(env, **kwargs):
    return EnvStep(*map(np.stack, zip(*(copy for _, copy in play(env, **kwargs)), strict=True)))


def are_equal(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))


def test_shapes_and_dtypes_are_those_of_the_spec(make):
    env = make[0]()
    step = env.recv()
    shapes = {name: array.shape for name, array in step._asdict().items()}
    assert shapes.pop("observation") == (NUM_ENVS, *env.spec.observation_shape)
    assert set(shapes.values()) == {(NUM_ENVS,)}
    assert step.observation.dtype == env.spec.observation_dtype
    kinds = [array.dtype.name for array in step[1:]]
    assert kinds == ["float32", "bool", "bool", "bool", "bool", "int32"]
    env.close()


def test_a_game_begins_on_the_row_after_an_end_and_nowhere_else(make):
    env, life_loss = make
    rows = stacked(env())
    begins = np.concatenate([np.ones((1, NUM_ENVS), bool), ~rows.valid[:-1]])
    assert begins[1:].any()
    assert (rows.reward[begins] == 0).all()
    assert not (begins & (rows.terminated | ~rows.valid)).any()
    assert not (rows.game_over & rows.truncated).any()

    fell = np.diff(rows.lives, axis=0, prepend=rows.lives[:1]) < 0
    life_lost = fell & ~begins & (life_loss != "ignore")
    np.testing.assert_array_equal(rows.terminated, rows.game_over | life_lost)
    wiped = life_lost & rows.valid & (life_loss == "end_episode")
    np.testing.assert_array_equal(rows.start, begins | wiped)


@pytest.mark.parametrize("make", CUT, ids="-".join, indirect=True)
def test_games_are_over_and_cut(make):
    rows = stacked(make[0]())
    assert rows.game_over.any()
    assert rows.truncated.any()


@pytest.mark.parametrize("make", WITH_LIVES, ids="-".join, indirect=True)
def test_lives_are_lost(make):
    assert (np.diff(stacked(make[0]()).lives, axis=0) < 0).any()


def test_every_family_is_played():
    assert {family_of(game) for game, *_ in CASES} == set(FAMILIES)


def test_the_action_sent_for_a_terminal_row_is_discarded(make):
    assert are_equal(stacked(make[0]()), stacked(make[0](), other_actions_at_invalid_rows=True))


def test_the_seed_decides(make):
    rows = stacked(make[0](seed=5))
    assert are_equal(rows, stacked(make[0](seed=5)))
    assert not are_equal(rows, stacked(make[0](seed=700)))


def test_rows_handed_out_are_never_written_to(make):
    assert all(are_equal(kept, copy) for kept, copy in play(make[0]()))


def test_a_second_recv_returns_the_same_row(make):
    env = make[0]()
    assert are_equal(env.recv(), env.recv())
    env.close()


def test_a_wrong_number_of_actions_is_refused(make):
    env = make[0]()
    env.recv()
    with pytest.raises(ValueError, match=r"action must be \[B\] = \(3,\), got \(2,\)"):
        env.send(np.zeros(2, np.int64))
    env.close()


@pytest.mark.parametrize("game", [*MEMORY, "probe"])
@pytest.mark.parametrize("num_steps_before", [0, 1, 9, 30])
def test_saved_state_continues_bit_for_bit(game, num_steps_before):
    config = EnvConfig(length=9)
    env, other = (make_env(game, config, NUM_ENVS, 5) for _ in range(2))
    assert isinstance(env, StatefulVecEnv)
    for t in range(num_steps_before):
        env.recv()
        env.send(np.full(NUM_ENVS, t % 2))
    state = env.state_dict()
    assert {array.dtype.name for array in state.values()} <= {"int64", "float32", "uint8"}

    rows = stacked(env)
    play(other)
    other.load_state_dict(state)
    assert are_equal(stacked(other), rows)
    other.load_state_dict(state)
    assert are_equal(stacked(other), rows)


@pytest.mark.parametrize(("game", "num_envs", "length"), [("parity", 2, 9), ("control", 3, 9)])
def test_state_of_another_task_or_size_is_refused(game, num_envs, length):
    state = make_env(game, EnvConfig(length=length), num_envs, 5).state_dict()
    for other in (
        make_env("repeat_previous", EnvConfig(length=length), num_envs, 5),
        make_env(game, EnvConfig(length=length + 1), num_envs, 5),
        make_env(game, EnvConfig(length=length), num_envs + 1, 5),
        make_env("probe", EnvConfig(), num_envs, 5),
    ):
        before = other.state_dict()
        with pytest.raises(ValueError, match="must"):
            other.load_state_dict(state)
        after = other.state_dict()
        assert all(np.array_equal(before[name], after[name]) for name in before)
