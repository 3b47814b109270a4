"""What was shown when: the past is asked for by its place."""

import numpy as np

from envs.config import EnvConfig
from envs.memory.tasks.base import Tape, Task, blank, one_hot


def repeat_previous(config: EnvConfig) -> Task:
    """Name the value shown `k` steps ago, at every step from the k-th on.

    Observation: one-hot of the value. Chance is 1 / `num_values`.

    Source: RepeatPrevious of POPGym (https://arxiv.org/abs/2303.01859), with reward in [0, 1].
    """
    length, values, k = config.length, config.num_values, config.k
    if k >= length:
        raise ValueError(f"repeat_previous needs k < length, got k={k}, length={length}")

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length, values)
        value = rng.integers(values, size=(n, length))
        observations[:, :length] = one_hot(value, values)
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
