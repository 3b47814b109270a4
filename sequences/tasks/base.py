"""What a task is: a vocabulary, a set of answers, and sequences that are drawn from a seed.

A model reads a sequence token by token and may answer at every token; the task says at which
tokens an answer counts, and which is right.

An example is named by its split, a seed and its number, and by nothing else: a stream of them can
be taken up anywhere.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray

Split = Literal["train", "validation", "test"]
SPLITS: tuple[Split, ...] = get_args(Split)
NO_ANSWER = -1
"""Stands in for an answer where none counts."""


class Example(NamedTuple):
    """One sequence of N tokens."""

    tokens: NDArray[np.int64]  # [N] numbers of `Task.tokens`
    answers: NDArray[np.int64]  # [N] numbers of `Task.answers`, or NO_ANSWER


Draw = Callable[[np.random.Generator], Example]
FindExample = Callable[[Split, int, int], Example]


@dataclass(frozen=True, kw_only=True, slots=True)
class Task:
    """One task at one size.

    Args:
        tokens: what a model reads, as text.
        answers: what it may answer, as text.
        example: (split, seed, number) -> that example.
        num_examples: examples of each split; None where they are made as they are asked for.
        blank: the answer that says nothing: it counts for a sequence, not as an answer given.
        answer_bytes: [number of answers] bytes of text that each stands for, where the task is to
            predict a text; None where an answer is right or wrong.
        source_hash: SHA-256 of what the examples were read from; "" where they are made.
    """

    tokens: tuple[str, ...]
    answers: tuple[str, ...]
    example: FindExample
    num_examples: Mapping[Split, int] | None = None
    blank: int | None = None
    answer_bytes: NDArray[np.int64] | None = None
    source_hash: str = ""

    def size(self, split: Split) -> int | None:
        """Returns how many examples a split has; None where they do not end, as in train."""
        return None if split == "train" or self.num_examples is None else self.num_examples[split]


@dataclass(frozen=True, kw_only=True, slots=True)
class TaskSpec:
    """A family of tasks, as its file presents it to the registry.

    Args:
        name: what `task.kind` calls it.
        settings: dataclass of its settings; raises ValueError for what cannot be.
        make: settings -> the task.
        has_segments: whether a sequence may be learned from in pieces: each of its tokens is asked.
        measures: what an evaluation measures, as `Tally.shares` names it, that of the score first.
        scale: the score of the best blind guess, and the best that there is; less is better where
            it is less.
        size: the setting that makes its sequences longer or deeper; "" where there is none.
    """

    name: str
    settings: type
    make: Callable[[Any], Task]
    has_segments: bool = False
    measures: tuple[str, ...] = ("accuracy", "answer_accuracy", "nats_per_answer")
    scale: tuple[float, float] = (0.0, 1.0)
    size: str = ""


def from_seed(draw: Draw) -> FindExample:
    """Returns the `Task.example` of a task whose examples are drawn independently."""

    def example(split: Split, seed: int, number: int) -> Example:
        return draw(np.random.default_rng([seed, SPLITS.index(split), number]))

    return example


def uniforms(rng: np.random.Generator) -> Iterator[float]:
    """Yields numbers in [0, 1) without end; several times as fast as asking for one at a time."""
    while True:
        yield from rng.random(256).tolist()


def find_example(task: Task, split: Split, seed: int, number: int) -> Example:
    """Returns one example.

    Raises:
        ValueError: it has a token or an answer that the task does not list.
    """
    example = task.example(split, seed, number)
    _check("token", example.tokens, 0, len(task.tokens))
    _check("answer", example.answers, NO_ANSWER, len(task.answers))
    return example


def examples(task: Task, split: Split, seed: int, first: int = 0) -> Iterator[Example]:
    """Yields the examples of a split from a number on, without end where the split has none."""
    size = task.size(split)
    for number in count(first) if size is None else range(first, size):
        yield find_example(task, split, seed, number)


def _check(name: str, values: NDArray[np.int64], least: int, size: int) -> None:
    wrong = (values < least) | (values >= size)
    if wrong.any():
        position = int(wrong.argmax())
        raise ValueError(
            f"{name} {values[position]} at position {position} is outside the task's vocabulary of "
            f"{size}"
        )
