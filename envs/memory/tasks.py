"""The memory tasks, each a draw of whole episodes.

No action changes what comes next, so an episode is fixed when it begins: a tape of observations
and the right answer to each. Every return lies in [0, 1]: the share of questions answered right.
The row after the last question is blank.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig

NO_QUESTION = -1
Tape = tuple[NDArray[np.float32], NDArray[np.int64]]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task at one size.

    Args:
        draw: (rng, n) -> observations [n, num_steps + 1, observation_size] float32 and answers
            [n, num_steps + 1] int64, `NO_QUESTION` where any action will do.
        num_steps: actions per episode.
        observation_size: length of an observation.
        num_actions: size of the action set.
        num_questions: answers that count; each is worth 1 / num_questions.
        question: what is asked, in a few words.
    """

    draw: Callable[[np.random.Generator, int], Tape]
    num_steps: int
    observation_size: int
    num_actions: int
    num_questions: int
    question: str

    @property
    def chance_return(self) -> float:
        """Mean return of a policy that guesses: answers are uniform over the actions."""
        return 1 / self.num_actions

    @property
    def perfect_return(self) -> float:
        """Return of a policy that answers everything right."""
        return 1.0


def _blank(n: int, num_steps: int, observation_size: int) -> Tape:
    observations = np.zeros((n, num_steps + 1, observation_size), np.float32)
    return observations, np.full((n, num_steps + 1), NO_QUESTION, np.int64)


def _one_hot(index: NDArray[np.int64], size: int) -> NDArray[np.float32]:
    return np.eye(size, dtype=np.float32)[index]


def tmaze(config: EnvConfig) -> Task:
    """Passive T-maze: a cue, `length` - 1 steps of corridor, and a junction where it decides.

    Time moves the agent; only the action at the junction counts. Observation: one-hot of cue 0,
    cue 1, corridor, junction. Chance is 1/2.

    Source: the passive T-maze of Ni et al. 2023 (https://arxiv.org/abs/2307.03864), in which the
    cue is shown once; success is rewarded here with 1 and failure with 0.
    """
    length = config.length

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = _blank(n, length + 1, 4)
        cue = rng.integers(2, size=n)
        observations[:, 0, :2] = _one_hot(cue, 2)
        observations[:, 1:length, 2] = 1.0
        observations[:, length, 3] = 1.0
        answers[:, length] = cue
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length + 1,
        observation_size=4,
        num_actions=2,
        num_questions=1,
        question=f"which way the cue pointed, {length} steps ago",
    )


def key_value(config: EnvConfig) -> Task:
    """Key-value recall: `num_pairs` pairs, one a step, then every key once in random order.

    Keys are shown in the same order always (in random order an LSTM plateaus); values are drawn
    independently, so a guess is right with chance 1 / `num_values`. Observation: key, value
    (blank in a query), query flag.
    """
    pairs, values = config.num_pairs, config.num_values
    size = pairs + values + 1

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = _blank(n, 2 * pairs, size)
        value_of_key = rng.integers(values, size=(n, pairs))
        asked = rng.permuted(np.tile(np.arange(pairs), (n, 1)), axis=1)
        observations[:, :pairs, :pairs] = np.eye(pairs)
        observations[:, :pairs, pairs:-1] = _one_hot(value_of_key, values)
        observations[:, pairs:-1, :pairs] = _one_hot(asked, pairs)
        observations[:, pairs:-1, -1] = 1.0
        answers[:, pairs:-1] = np.take_along_axis(value_of_key, asked, axis=1)
        return observations, answers

    return Task(
        draw=draw,
        num_steps=2 * pairs,
        observation_size=size,
        num_actions=values,
        num_questions=pairs,
        question=f"the value bound to a key: {pairs} of {values} values",
    )


def repeat_previous(config: EnvConfig) -> Task:
    """Name the value shown `k` steps ago, at every step from the k-th on.

    Observation: one-hot of the value. Chance is 1 / `num_values`.

    Source: RepeatPrevious of POPGym (https://arxiv.org/abs/2303.01859), with reward in [0, 1].
    """
    length, values, k = config.length, config.num_values, config.k
    if k >= length:
        raise ValueError(f"repeat_previous needs k < length, got k={k}, length={length}")

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = _blank(n, length, values)
        value = rng.integers(values, size=(n, length))
        observations[:, :length] = _one_hot(value, values)
        answers[:, k:length] = value[:, : length - k]
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length,
        observation_size=values,
        num_actions=values,
        num_questions=length - k,
        question=f"the value of {k} steps ago",
    )


def parity(config: EnvConfig) -> Task:
    """Name the parity of all bits so far, the one in view included, at every step.

    Observation: one-hot of the bit. Chance is 1/2. A policy without memory can do a little better:
    the first answer is in view, and the last reward says whether the last answer was right.
    """
    length = config.length

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = _blank(n, length, 2)
        bits = rng.integers(2, size=(n, length))
        observations[:, :length] = _one_hot(bits, 2)
        answers[:, :length] = bits.cumsum(axis=1) % 2
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length,
        observation_size=2,
        num_actions=2,
        num_questions=length,
        question=f"the parity of all bits so far, at each of {length} steps",
    )


def control(config: EnvConfig) -> Task:
    """Name the value in view: needs no memory, so every agent must reach 1.

    Observation: one-hot of the value. Chance is 1 / `num_values`.
    """
    length, values = config.length, config.num_values

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = _blank(n, length, values)
        value = rng.integers(values, size=(n, length))
        observations[:, :length] = _one_hot(value, values)
        answers[:, :length] = value
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length,
        observation_size=values,
        num_actions=values,
        num_questions=length,
        question="the value in view",
    )


TASKS: dict[str, Callable[[EnvConfig], Task]] = {
    "tmaze": tmaze,
    "repeat_previous": repeat_previous,
    "key_value": key_value,
    "parity": parity,
    "control": control,
}
