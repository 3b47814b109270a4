"""A state that every step changes: what is asked for was never shown."""

from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.memory.tasks.base import Tape, Task, blank, one_hot


def parity(config: EnvConfig) -> Task:
    """Name the parity of all bits so far, the one in view included, at every step.

    Observation: one-hot of the bit. Chance is 1/2. A policy that sees its last reward needs no
    memory to do better: one that always answers 1, but the bit in view where it was not right last,
    has a share of 0.68 right at length 20. With its last action in view it is always right. So
    `configs/memory/parity.yaml` shows neither.
    """
    length = config.length

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length, 2)
        bits = rng.integers(2, size=(n, length))
        observations[:, :length] = one_hot(bits, 2)
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


def word_problem(size: int, config: EnvConfig) -> Task:
    """Word problem of the symmetric group: a permutation a step, and the product of all so far.

    Permutations of `size` things have the numbers of their lexicographic order, 0 is the identity.
    The one in view is applied after those before it. Observation: one-hot of the permutation;
    chance is 1 / size!. As in parity the last reward and the last action would tell the state.

    Source: the state tracking of Merrill et al. 2024 (https://arxiv.org/abs/2404.08819): the word
    problem of S5 is beyond what a constant number of layers of linear attention computes.
    """
    length, table = config.length, _products(size)
    order = len(table)

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length, order)
        word = rng.integers(order, size=(n, length))
        observations[:, :length] = one_hot(word, order)
        product = np.zeros(n, np.int64)
        for step in range(length):
            product = answers[:, step] = table[word[:, step], product]
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length,
        observation_size=order,
        num_actions=order,
        num_questions=length,
        question=f"the product of all permutations of {size} so far, at each of {length} steps",
    )


def _products(size: int) -> NDArray[np.int64]:
    """Returns the number of "first b, then a" in row a, column b."""
    elements = np.array(list(permutations(range(size))))
    place = size ** np.arange(size)
    number = {key: i for i, key in enumerate((elements @ place).tolist())}
    products = elements[:, elements] @ place
    return np.array([[number[key] for key in row] for row in products.tolist()])
