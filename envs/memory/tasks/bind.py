"""What belongs to what: one of several things that were shown is asked for by its name."""

import numpy as np

from envs.config import EnvConfig
from envs.memory.tasks.base import Floats, Tape, Task, Tile, blank, one_hot


def key_value(config: EnvConfig) -> Task:
    """Key-value recall: `num_pairs` pairs, one a step, then every key once in random order.

    Keys are shown in the same order always (in random order an LSTM plateaus); values are drawn
    independently, so a guess is right with chance 1 / `num_values`. Observation: key, value
    (blank in a query), query flag.
    """
    pairs, values = config.num_pairs, config.num_values
    size = pairs + values + 1

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, 2 * pairs, size)
        value_of_key = rng.integers(values, size=(n, pairs))
        asked = rng.permuted(np.tile(np.arange(pairs), (n, 1)), axis=1)
        observations[:, :pairs, :pairs] = np.eye(pairs)
        observations[:, :pairs, pairs:-1] = one_hot(value_of_key, values)
        observations[:, pairs:-1, :pairs] = one_hot(asked, pairs)
        observations[:, pairs:-1, -1] = 1.0
        answers[:, pairs:-1] = np.take_along_axis(value_of_key, asked, axis=1)
        return observations, answers

    def show(observation: Floats) -> Tile:
        key, value, query = np.split(observation, [pairs, -1])
        if query.any():
            return Tile(_letter(key), "?")
        return Tile(_letter(key), str(value.argmax()), int(value.argmax()))

    queries = np.eye(pairs, size, dtype=np.float32)
    queries[:, -1] = 1.0
    return Task(
        draw=draw,
        num_steps=2 * pairs,
        observation_size=size,
        num_actions=values,
        num_questions=pairs,
        question=f"the value bound to a key: {pairs} of {values} values",
        show=show,
        asks={_letter(query[:pairs]): query for query in queries},
    )


def _letter(one_hot: Floats) -> str:
    """Returns the letter of a key, or from the 27th on its number."""
    key = int(one_hot.argmax())
    return chr(ord("A") + key) if key < 26 else str(key)
