"""What a memory task is: `Task`, a tape of observations and the right answers to them.

The length of an episode does not depend on the actions, only the rewards do. The answers that count
share one reward of 1, so that a policy that gets all of them right earns 1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

NO_QUESTION = -1
Floats = NDArray[np.float32]
Tape = tuple[Floats, NDArray[np.int64]]


class Tile(NamedTuple):
    """What an observation shows."""

    label: str = ""  # above the tile
    symbol: str = ""  # on it
    value: int | None = None  # its colour


def value_in_view(observation: Floats) -> Tile:
    """Returns the tile of an observation [size] that is a value, as one-hot."""
    value = int(observation.argmax())
    return Tile("", str(value), value)


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task at one size.

    Args:
        draw: (rng, n) -> observations [n, num_steps + 1, observation_size] float32 and answers
            [n, num_steps + 1] int64, `NO_QUESTION` where any action will do. An episode ends with
            the answer to its last question; what it shows from then on is blank.
        num_steps: actions per episode, at most.
        observation_size: length of an observation.
        num_actions: size of the action set.
        num_questions: answers that count; each is worth 1 / num_questions.
        question: what is asked, in a few words.
        wrong: what a wrong answer is worth, as a multiple of a right one.
        show: observation [observation_size] that is not blank -> what it shows.
        asks: what can be asked out of turn: the label asked for, and the observation.
    """

    draw: Callable[[np.random.Generator, int], Tape]
    num_steps: int
    observation_size: int
    num_actions: int
    num_questions: int
    question: str
    wrong: float = 0.0
    show: Callable[[Floats], Tile] = value_in_view
    asks: Mapping[str, Floats] = field(default_factory=dict)

    @property
    def chance_return(self) -> float:
        """Mean return of a policy that guesses: answers are uniform over the actions."""
        return (1 + self.wrong * (self.num_actions - 1)) / self.num_actions

    @property
    def perfect_return(self) -> float:
        """Return of a policy that answers everything right."""
        return 1.0

    def tile(self, observation: Floats) -> Tile:
        """Returns what an observation [observation_size] shows; nothing if it is blank."""
        return self.show(observation) if observation.any() else Tile()


def blank(n: int, num_steps: int, observation_size: int) -> Tape:
    """Returns a tape of n episodes that shows and asks nothing."""
    observations = np.zeros((n, num_steps + 1, observation_size), np.float32)
    return observations, np.full((n, num_steps + 1), NO_QUESTION, np.int64)


def one_hot(index: NDArray[np.int64], size: int) -> Floats:
    """Returns index [...] as vectors [..., size]."""
    return np.eye(size, dtype=np.float32)[index]
