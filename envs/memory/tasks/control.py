"""Nothing need be remembered: what an agent earns here is what memory does not decide."""

import numpy as np

from envs.config import EnvConfig
from envs.memory.tasks.base import Tape, Task, blank, one_hot


def control(config: EnvConfig) -> Task:
    """Name the value in view: needs no memory, so every agent must reach 1.

    Observation: one-hot of the value. Chance is 1 / `num_values`.
    """
    length, values = config.length, config.num_values

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length, values)
        value = rng.integers(values, size=(n, length))
        observations[:, :length] = one_hot(value, values)
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
