"""Memory tasks: solved by remembering what was shown, at chance without."""

import numpy as np
import pytest

from envs import EnvConfig, family_of, make_env

NUM_ENVS = 16
CONFIG = EnvConfig(length=12, num_pairs=3, num_values=5, k=2)
NUM_STEPS = {"tmaze": 13, "key_value": 6, "repeat_previous": 12, "parity": 12, "control": 12}
GAMES = list(NUM_STEPS)


def tmaze_answer(shown):
    return shown[0][:2].argmax()


def key_value_answer(shown):
    query = shown[-1]
    if query[-1] == 0:
        return 0
    matching = [row for row in shown if row[-1] == 0 and (row[:3] == query[:3]).all()]
    assert len(matching) == 1
    return matching[0][3:8].argmax()


def repeat_previous_answer(shown):
    return shown[-3].argmax() if len(shown) > 2 else 0


def parity_answer(shown):
    return sum(row.argmax() for row in shown) % 2


def control_answer(shown):
    return shown[-1].argmax()


ANSWER = {
    "tmaze": tmaze_answer,
    "key_value": key_value_answer,
    "repeat_previous": repeat_previous_answer,
    "parity": parity_answer,
    "control": control_answer,
}


def returns(game, answer, num_episodes=2):
    """Returns [num_episodes, B] returns of a policy that maps what it saw to an action."""
    env = make_env(game, CONFIG, NUM_ENVS, seed=3)
    totals = np.zeros((num_episodes, NUM_ENVS))
    for episode in range(num_episodes):
        shown = []
        for t in range(NUM_STEPS[game] + 1):
            step = env.recv()
            assert (step.start == (t == 0)).all()
            assert (step.game_over == (t == NUM_STEPS[game])).all()
            totals[episode] += step.reward
            shown.append(step.observation)
            env.send(np.array([answer([rows[i] for rows in shown]) for i in range(NUM_ENVS)]))
    return totals


@pytest.mark.parametrize("game", GAMES)
def test_remembering_gets_every_answer_right(game):
    np.testing.assert_allclose(returns(game, ANSWER[game]), 1.0, rtol=1e-6)


@pytest.mark.parametrize("game", GAMES)
def test_wrong_answers_earn_nothing(game):
    num_actions = make_env(game, CONFIG, 1, 0).spec.num_actions
    wrong = returns(game, lambda shown: (ANSWER[game](shown) + 1) % num_actions)
    np.testing.assert_array_equal(wrong, 0.0)


@pytest.mark.parametrize("game", ["tmaze", "key_value", "repeat_previous"])
def test_what_is_in_view_tells_nothing_about_the_answer(game):
    """The best answer to each view, chosen in hindsight, is right as often as a guess."""
    env = make_env(game, CONFIG, 20_000, seed=0)
    chance = family_of(game).scores(game, CONFIG).floor
    for t in range(NUM_STEPS[game]):
        view = np.unique(env.recv().observation, axis=0, return_inverse=True)[1].ravel()
        answers = env._answers[:, t]
        assert len(np.unique(answers)) in (1, env.spec.num_actions)
        if answers[0] >= 0:
            counts = np.zeros((view.max() + 1, env.spec.num_actions))
            np.add.at(counts, (view, answers), 1)
            assert counts.max(axis=1).sum() / len(answers) < chance + 0.02
        env.send(np.zeros(20_000, np.int64))


@pytest.mark.parametrize("game", GAMES)
def test_guessing_earns_the_published_chance(game):
    rng = np.random.default_rng(0)
    env = make_env(game, CONFIG, 4_000, seed=0)
    total = np.zeros(4_000)
    for _ in range(NUM_STEPS[game] + 1):
        total += env.recv().reward
        env.send(rng.integers(env.spec.num_actions, size=4_000))
    standard_error = total.std() / len(total) ** 0.5
    assert abs(total.mean() - family_of(game).scores(game, CONFIG).floor) < 4 * standard_error


def test_tmaze_length_is_the_distance_from_cue_to_junction():
    env = make_env("tmaze", EnvConfig(length=20), 1, 0)
    observations = []
    for _ in range(22):
        observations.append(env.recv().observation[0])
        env.send(np.zeros(1, np.int64))
    assert [row[3] for row in observations] == [0.0] * 20 + [1.0, 0.0]
    assert observations[0][:2].sum() == 1
    assert all(row[:2].sum() == 0 for row in observations[1:])


def test_every_episode_is_drawn_anew():
    env = make_env("key_value", EnvConfig(), 32, 0)
    first = []
    for _ in range(18):
        first.append(env.recv().observation)
        env.send(np.zeros(32, np.int64))
    assert not np.array_equal(np.stack(first[:9]), np.stack(first[9:]))
    assert len(np.unique(np.stack(first[:9], axis=1).reshape(32, -1), axis=0)) == 32


def test_repeat_previous_must_fit_its_episode():
    with pytest.raises(ValueError, match="k < length, got k=5, length=5"):
        make_env("repeat_previous", EnvConfig(k=5, length=5), 1, 0)
