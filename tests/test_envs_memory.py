"""Memory tasks: solved by remembering what was shown, at chance without."""

from itertools import permutations

import numpy as np
import pytest

from envs import EnvConfig, family_of, make_env

NUM_ENVS = 16
CONFIG = EnvConfig(length=12, num_pairs=3, num_values=5, k=2, num_corridors=3)
NUM_STEPS = {
    "tmaze": 13,
    "memory_length": 13,
    "key_value": 6,
    "repeat_previous": 12,
    "parity": 12,
    "word_problem_s3": 12,
    "word_problem_s5": 12,
    "control": 12,
}
GAMES = list(NUM_STEPS)


def tmaze_answer(shown):
    return shown[0][:2].argmax()


def memory_length_answer(shown):
    return int(shown[0][2] > 0)


def endless_tmaze_answer(shown):
    return next(row[:2].argmax() for row in reversed(shown) if row[:2].any())


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


def word_problem_answer(size):
    """Moves things to where each permutation says, and looks where they have come to lie."""
    elements = list(permutations(range(size)))

    def answer(shown):
        places = list(range(size))
        for row in shown:
            if row.any():
                moved = elements[row.argmax()]
                places = [moved[place] for place in places]
        return elements.index(tuple(places))

    return answer


def control_answer(shown):
    return shown[-1].argmax()


ANSWER = {
    "tmaze": tmaze_answer,
    "memory_length": memory_length_answer,
    "key_value": key_value_answer,
    "repeat_previous": repeat_previous_answer,
    "parity": parity_answer,
    "word_problem_s3": word_problem_answer(3),
    "word_problem_s5": word_problem_answer(5),
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
    np.testing.assert_array_equal(wrong, -1.0 if game == "memory_length" else 0.0)


@pytest.mark.parametrize("game", ["tmaze", "memory_length", "key_value", "repeat_previous"])
def test_what_is_in_view_tells_nothing_about_the_answer(game):
    """The best answer to each view, chosen in hindsight, is right as often as a guess."""
    env = make_env(game, CONFIG, 20_000, seed=0)
    chance = 1 / env.spec.num_actions
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


class MemoryChain:
    """bsuite's memory length, rewritten from its rules: one bit, and a step counter."""

    def __init__(self, length, bit):
        self.length, self.bit, self.timestep = length, bit, 0

    def observation(self):
        context = 2 * self.bit - 1 if self.timestep == 0 else 0
        return [1 - self.timestep / self.length, 0, context]

    def step(self, action):
        """Returns observation, reward and whether the episode is over."""
        observation = self.observation()
        self.timestep += 1
        if self.timestep - 1 < self.length:
            return observation, 0, False
        return observation, 1 if action == self.bit else -1, True


@pytest.mark.parametrize("length", [1, 2, 7])
@pytest.mark.parametrize("action", [0, 1])
def test_memory_length_goes_by_bsuite_s_rules(length, action):
    env = make_env("memory_length", EnvConfig(length=length), NUM_ENVS, seed=0)
    step = env.recv()
    chains = [MemoryChain(length, int(row[2] > 0)) for row in step.observation]
    assert {chain.bit for chain in chains} == {0, 1}
    np.testing.assert_allclose(step.observation, [chain.observation() for chain in chains])
    for _ in range(length + 1):
        env.send(np.full(NUM_ENVS, action))
        step = env.recv()
        observation, reward, over = zip(*(chain.step(action) for chain in chains), strict=True)
        np.testing.assert_allclose(step.observation, observation, atol=1e-7)
        np.testing.assert_array_equal(step.reward, reward)
        np.testing.assert_array_equal(step.game_over, over)
    assert step.game_over.all()


def endless_episodes(num_envs, answer):
    """Returns rows and return of the first episode of each environment."""
    env = make_env("endless_tmaze", EnvConfig(length=4, num_corridors=3), num_envs, seed=0)
    rows, totals, playing = [[] for _ in range(num_envs)], np.zeros(num_envs), set(range(num_envs))
    while playing:
        step = env.recv()
        for i in list(playing):
            totals[i] += step.reward[i]
            if step.game_over[i]:
                playing.remove(i)
            else:
                rows[i].append(step.observation[i])
        env.send(np.array([answer(shown) for shown in rows]))
    return rows, totals


def test_the_latest_cue_decides_at_every_junction_of_the_endless_tmaze():
    np.testing.assert_allclose(endless_episodes(NUM_ENVS, endless_tmaze_answer)[1], 1.0, rtol=1e-6)
    wrong = endless_episodes(NUM_ENVS, lambda shown: 1 - endless_tmaze_answer(shown))[1]
    np.testing.assert_array_equal(wrong, 0.0)
    first_cue = endless_episodes(NUM_ENVS, tmaze_answer)[1]
    assert 0.4 < first_cue.mean() < 0.9  # right at the first junction, a guess at the other two


def test_corridors_of_the_endless_tmaze_are_of_every_length_alike():
    rows, totals = endless_episodes(3_000, lambda shown: 0)
    lengths, cues = [], []
    for shown in rows:
        places = "".join("01.T"[row.argmax()] for row in shown)
        corridors = places.split("T")
        assert corridors.pop() == ""  # it ends at a junction
        assert len(corridors) == 3
        assert all(c[0] in "01" and set(c[1:]) <= {"."} for c in corridors)
        lengths += [len(corridor) for corridor in corridors]
        cues += [int(corridor[0]) for corridor in corridors]
    counts = np.bincount(lengths, minlength=5)[1:]
    assert len(counts) == 4
    assert (abs(counts - 9_000 / 4) < 4 * (9_000 * 3 / 16) ** 0.5).all()
    assert abs(np.mean(cues) - 0.5) < 4 * 0.5 / 9_000**0.5
    assert abs(totals.mean() - 0.5) < 4 * totals.std() / 3_000**0.5
    scores = family_of("endless_tmaze").scores("endless_tmaze", EnvConfig())
    assert scores == (0.5, 1.0)


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


def test_the_last_reward_tells_the_parity_to_a_policy_without_memory():
    """Simulated apart over 20,000 episodes of 20: 0.679."""
    env = make_env("parity", EnvConfig(length=20), 4000, seed=0)
    total = 0.0
    for step_index in range(20):
        step = env.recv()
        in_view = step.observation.argmax(-1)
        knows_zero = (step.reward == 0) | (step_index == 0)
        env.send(np.where(knows_zero, in_view, 1))
        total += env.recv().reward.mean()
    assert total == pytest.approx(0.679, abs=0.005)
