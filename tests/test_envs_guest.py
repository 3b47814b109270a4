"""Guests: spaces as arrays and numbers, what is refused, and what a name alone must not do."""

import os
import re

import gymnasium
import numpy as np
import pytest
from gymnasium import spaces

from envs import EnvConfig, canonical_game, family_of, guest, make_env
from envs.guest.picture import picture_of
from envs.guest.plain import Plain

Box, Discrete, MultiDiscrete = spaces.Box, spaces.Discrete, spaces.MultiDiscrete
PIXELS = Box(0, 255, (24, 30, 3), np.uint8)


class Echo(gymnasium.Env):
    """Shows what it is given and keeps its actions; ends in turn by time and by game over."""

    def __init__(self, seen, action_space=None, length=3):
        self.observation_space = seen
        self.action_space = action_space or Discrete(2)
        self.length, self.games, self.actions = length, 0, []

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.elapsed, self.games = 0, self.games + 1
        self.observation_space.seed(int(self.np_random.integers(2**31)))
        return self.observation_space.sample(), {}

    def step(self, action):
        assert self.action_space.contains(action), action
        self.actions.append(action)
        self.elapsed += 1
        over = self.elapsed == self.length
        truncated = over and self.games % 2 == 1
        return self.observation_space.sample(), 2.5, over and not truncated, truncated, {}


def made(seen, action_space=None, num_envs=2, seed=5, **kwargs):
    guest.register("tests:echo", lambda: Echo(seen, action_space, **kwargs))
    return make_env("tests:echo", EnvConfig(), num_envs, seed)


@pytest.mark.parametrize(
    ("space", "observation", "expected"),
    [
        (Box(-1, 1, (2, 2), np.float64), np.array([[0.5, -1], [0, 1.0]]), [0.5, -1, 0, 1]),
        (Discrete(3), 1, [0, 1, 0]),
        (Discrete(3, start=-1), 1, [0, 0, 1]),
        (MultiDiscrete([2, 3]), np.array([1, 0]), [0, 1, 1, 0, 0]),
        (Box(0, 255, (2,), np.uint8), np.array([7, 255], np.uint8), [7, 255]),
        (spaces.Tuple([Discrete(2), Box(-9, 9, (1,))]), (1, np.array([4.0])), [0, 1, 4]),
        (
            spaces.Dict(b=Discrete(2), a=spaces.Dict(x=Box(-9, 9, (1,)))),
            {"a": {"x": np.array([3.0])}, "b": 0},
            [1, 0, 3],
        ),
        (
            spaces.Dict(pixels=Box(0, 255, (1, 2), np.uint8), x=Box(-9, 9, (1,))),
            {"pixels": np.array([[51, 255]], np.uint8), "x": np.array([-2.0])},
            [0.2, 1, -2],
        ),
    ],
)
def test_all_but_one_image_becomes_one_vector(space, observation, expected):
    plain = Plain("tests:echo", Echo(space))
    seen = plain._see(observation)
    assert seen.dtype == plain.observation_space.dtype == np.float32
    assert plain.observation_space.shape == seen.shape
    np.testing.assert_allclose(seen, expected, rtol=1e-6)


@pytest.mark.parametrize(
    ("shape", "order"),
    [
        ((24, 30), None),
        ((24, 30, 3), (2, 0, 1)),
        ((4, 24, 30), (0, 1, 2)),
        ((3, 24, 3), (2, 0, 1)),
        ((7, 7, 12), (2, 0, 1)),
        ((12, 7, 7), (0, 1, 2)),
        ((7, 7, 7), (2, 0, 1)),
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda s: s, lambda s: spaces.Dict(x=s), lambda s: spaces.Tuple([s])]
)
def test_an_image_stays_one_with_its_channels_first(shape, order, wrap):
    space = wrap(Box(0, 255, shape, np.uint8))
    observation = space.sample()
    values = observation.values() if isinstance(observation, dict) else observation
    image = observation if isinstance(space, Box) else next(iter(values))
    seen = Plain("tests:echo", Echo(space))._see(observation)
    assert seen.dtype == np.uint8
    expected = image[None] if order is None else image.transpose(order)
    np.testing.assert_array_equal(seen, expected)


@pytest.mark.parametrize("shape", [(7, 7, 20), (20, 7, 7), (24, 5, 30)])
def test_a_grid_of_more_channels_than_an_image_has_is_a_vector_as_it_is(shape):
    space = Box(0, 255, shape, np.uint8)
    seen = Plain("tests:echo", Echo(space))._see(observation := space.sample())
    np.testing.assert_array_equal(seen, observation.flatten().astype(np.float32))


def test_rows_carry_the_guests_observations_of_any_kind():
    for space, shape in ((PIXELS, (3, 24, 30)), (Discrete(4), (4,))):
        env = made(space)
        step = env.recv()
        assert step.observation.shape == (2, *shape)
        assert env.spec.observation_dtype == step.observation.dtype


def test_ends_by_time_are_truncated_and_others_game_over():
    env = made(Discrete(4))
    ends = []
    for _ in range(9):
        step = env.recv()
        ends.append((step.truncated.tolist(), step.game_over.tolist()))
        assert (step.terminated == step.game_over).all()
        assert (step.reward == np.where(step.start, 0, 2.5)).all()
        env.send(np.zeros(2, np.int64))
    on, cut, over = ([False] * 2, [False] * 2), ([True] * 2, [False] * 2), ([False] * 2, [True] * 2)
    assert ends == [on, on, on, cut, on, on, on, over, on]


def test_environment_i_plays_with_seed_plus_i():
    rows = made(PIXELS, num_envs=3, seed=40).recv().observation
    for i in range(3):
        np.testing.assert_array_equal(
            made(PIXELS, num_envs=1, seed=40 + i).recv().observation[0], rows[i]
        )
    assert not np.array_equal(rows[0], rows[1])


@pytest.mark.parametrize(
    ("space", "count", "given", "expected"),
    [
        (Discrete(3), 3, 2, 2),
        (Discrete(3, start=5), 3, 2, 7),
        (MultiDiscrete([2, 3]), 6, 4, [1, 1]),
        (MultiDiscrete([2, 3], start=[1, 10]), 6, 5, [2, 12]),
        (MultiDiscrete([[2, 2], [2, 2]]), 16, 6, [[0, 1], [1, 0]]),
        (MultiDiscrete([32, 32]), 1024, 1023, [31, 31]),
    ],
)
def test_actions_are_numbered(space, count, given, expected):
    env = made(Discrete(2), space, num_envs=1)
    assert env.spec.num_actions == count
    env.recv()
    env.send(np.array([given]))
    np.testing.assert_array_equal(env._envs.envs[0].unwrapped.actions[0], expected)


@pytest.mark.parametrize(
    "space", [Box(-1, 1, (1,)), MultiDiscrete([32, 33]), Discrete(2000), spaces.MultiBinary(3)]
)
def test_other_actions_are_refused_in_a_line_that_says_what_is_accepted(space):
    with pytest.raises(ValueError, match=r"tests:echo takes actions in .*Discrete.*1,024 comb"):
        made(Discrete(2), space)


@pytest.mark.parametrize("space", [spaces.Text(5), spaces.Tuple([Discrete(2), spaces.Text(5)])])
def test_other_observations_are_refused_in_a_line_that_says_what_is_accepted(space):
    with pytest.raises(ValueError, match=r"Text.*no encoder takes.*Box, Discrete, MultiDiscrete"):
        made(space)


def test_a_one_hot_larger_than_memory_is_refused_before_it_is_made():
    with pytest.raises(ValueError, match="1,000,000,000 numbers"):
        made(Discrete(10**9))


@pytest.mark.parametrize(
    ("space", "shown", "message"),
    [
        (PIXELS, np.full((24, 30, 3), 0.8), "is float64 (24, 30, 3), its space says uint8 (24, 3"),
        (PIXELS, np.zeros((3, 24, 30), np.uint8), "says uint8 (24, 30, 3)"),
        (Box(-1, 1, (3,)), np.zeros(2), "observation is float64 (2,), its space says float32 (3,)"),
        (Discrete(3), 1.0, "observation is float64 (), its space says int64 ()"),
        (spaces.Dict(x=PIXELS), {"x": 0}, "observation['x'] is int64 (), its space says uint8 ("),
        (spaces.Dict(x=PIXELS), {"y": 0}, "observation['x'] cannot be read: KeyError('x')"),
        (spaces.Tuple([Discrete(2)] * 2), (1, [1]), "observation[1] is int64 (1,), its space says"),
        (spaces.Tuple([Discrete(2)]), 1, "observation[0] cannot be read: TypeError"),
    ],
)
def test_what_a_guest_shows_is_refused_where_its_space_says_otherwise(space, shown, message):
    env = Echo(space)
    env.reset = lambda **_: (shown, {})
    with pytest.raises(ValueError, match=f"^tests:echo: .*{re.escape(message)}"):
        Plain("tests:echo", env).reset()


@pytest.mark.parametrize(
    ("space", "shown"),
    [
        (Box(-1, 1, (2,)), [1, 0.5]),
        (Box(-1, 1, (2,)), np.array([True, False])),
        (Box(0, 255, (2, 2), np.uint8), np.array([[0, 255], [1, 2]])),
        (Discrete(2), True),
        (MultiDiscrete([2, 3]), (1, 2)),
    ],
)
def test_other_numbers_of_the_same_meaning_are_taken(space, shown):
    env = Echo(space)
    env.reset = lambda **_: (shown, {})
    seen, _ = Plain("tests:echo", env).reset()
    np.testing.assert_array_equal(seen.flatten(), spaces.flatten(space, np.array(shown)))


@pytest.mark.parametrize(
    ("name", "fails", "message"),
    [
        ("reset", lambda **_: np.zeros(2) + np.zeros(3), "operands could not be broadcast"),
        ("step", lambda _: np.zeros(2) + np.zeros(3), "operands could not be broadcast"),
        ("step", lambda _: os.listdir("/no"), "No such file"),
    ],
)
def test_a_guest_that_fails_is_named_with_its_line(name, fails, message):
    plain = Plain("tests:echo", env := Echo(Discrete(2)))
    setattr(env, name, fails)
    line = fails.__code__.co_firstlineno
    where = rf"tests:echo fails in {name}: \w+ in test_envs_guest.py, line {line}: .*{message}"
    with pytest.raises(RuntimeError, match=where) as raised:
        plain.reset() if name == "reset" else plain.step(0)
    assert isinstance(raised.value.__cause__, ValueError | OSError)


def test_a_step_that_returns_too_little_is_named():
    plain = Plain("tests:echo", env := Echo(Discrete(2)))
    env.step = lambda _: (1, 0.0, False, {})
    with pytest.raises(RuntimeError, match=r"tests:echo fails in step: .*expected 5, got 4"):
        plain.step(0)


@pytest.mark.parametrize(
    "wrap", [lambda env: env, lambda env: gymnasium.wrappers.TimeLimit(env, 9)]
)
def test_a_maker_that_returns_one_environment_twice_is_refused(wrap):
    one = Echo(Discrete(2))
    guest.register("tests:one", lambda: wrap(one))
    make_env("tests:one", EnvConfig(), 1, 0)
    with pytest.raises(ValueError, match="tests:one must return a new environment at every call"):
        make_env("tests:one", EnvConfig(), 2, 0)


@pytest.mark.parametrize(
    ("third", "num_made", "message"),
    [
        (lambda: 3, 2, "must return a Gymnasium environment"),
        (lambda: 1 / 0, 2, "makes no environment"),
        (lambda: Echo(spaces.Text(5)), 3, "no encoder takes"),
    ],
)
def test_guests_are_closed_where_one_is_refused(third, num_made, message, monkeypatch):
    closed, makers = [], iter([lambda: Echo(Discrete(2))] * 2 + [third])
    monkeypatch.setattr(Echo, "close", lambda env: closed.append(env))
    guest.register("tests:third", lambda: next(makers)())
    with pytest.raises(ValueError, match=message):
        make_env("tests:third", EnvConfig(), 3, 0)
    assert len({id(env) for env in closed}) == num_made


@pytest.mark.parametrize(
    ("space", "message"),
    [("observation_space", "observations in None"), ("action_space", "actions in None")],
)
def test_an_environment_without_a_space_is_refused(space, message):
    def make():
        env = Echo(Discrete(2))
        delattr(env, space)
        return env

    guest.register("tests:bare", make)
    with pytest.raises(ValueError, match=message):
        make_env("tests:bare", EnvConfig(), 1, 0)


def test_what_makes_no_environment_is_refused():
    guest.register("tests:number", lambda: 3)
    with pytest.raises(ValueError, match="must return a Gymnasium environment, it returned int"):
        make_env("tests:number", EnvConfig(), 1, 0)


def test_a_name_alone_imports_nothing():
    assert canonical_game("nowhere.py:make") == "nowhere.py:make"
    assert family_of("nowhere:Env-v0").name == "your own"
    assert family_of("nowhere:Env-v0").scores("nowhere:Env-v0", EnvConfig()) is None
    with pytest.raises(ValueError, match=r"by --plugin nowhere.py:make$"):
        make_env("nowhere.py:make", EnvConfig(), 1, 0)


@pytest.mark.parametrize(
    "space", [PIXELS, Discrete(5), Box(-1, 1, (900,)), Box(0, 255, (700, 500), np.uint8)]
)
def test_every_observation_has_a_picture_that_fits_the_film(space):
    env = made(space, num_envs=1)
    picture = picture_of(env)(env.recv(), 0, None)
    assert picture.dtype == np.uint8
    assert picture.shape[0] <= 630
    assert picture.shape[1] <= 480
    assert picture.std() > 5


def test_a_guests_own_picture_is_shown_and_shrunk():
    class Drawn(Echo):
        def __init__(self, render_mode=None):
            super().__init__(Discrete(2))
            self.render_mode = render_mode

        def render(self):
            return np.full((1200, 800, 3), 77, np.uint8)

    guest.register("tests:drawn", Drawn)
    env = make_env("tests:drawn", EnvConfig(), 1, 0)
    picture = picture_of(env)(env.recv(), 0, None)
    assert picture.shape == (630, 420, 3)
    assert (picture == 77).all()
