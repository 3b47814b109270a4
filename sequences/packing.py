"""Sequences of unequal length in [T, B] batches, end to end instead of padded.

A `start` marks the first token of each sequence, and every core resets there; so a lane of a batch
holds as many sequences as fit behind one another, and no step is spent on filler in between.

`pack` lays whole sequences into lanes: one gradient step sees all of each. With as many lanes as
sequences it is ordinary padding. `Segments` cuts lanes without end into pieces of T steps, for
texts that are too long for one: the caller carries the core's state from piece to piece.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sequences.tasks import NO_ANSWER, Example, Split, Task, find_example

NO_SEQUENCE = -1


class Batch(NamedTuple):
    """T steps of B lanes. What no sequence fills is token 0 without an answer."""

    token: NDArray[np.int64]  # [T, B]
    answer: NDArray[np.int64]  # [T, B] NO_ANSWER where none counts
    start: NDArray[np.bool_]  # [T, B] true at the first token of a sequence, and of filler
    sequence: NDArray[np.int64]  # [T, B] number of the sequence, NO_SEQUENCE in filler

    def lanes(self, which: slice) -> "Batch":
        """Returns some of the lanes."""
        return Batch(
            token=self.token[:, which],
            answer=self.answer[:, which],
            start=self.start[:, which],
            sequence=self.sequence[:, which],
        )

    @property
    def num_tokens(self) -> int:
        """Tokens of sequences, without filler."""
        return int((self.sequence != NO_SEQUENCE).sum())


def pack(sequences: list[Example], num_lanes: int) -> Batch:
    """Lays whole sequences into lanes, numbered as they come.

    The longest is placed first, each into the lane that is shortest so far: with several sequences
    a lane, lanes come out nearly equal. T is the longest lane.

    Args:
        sequences: one or more.
        num_lanes: B; with as many as sequences, each has a lane of its own.
    """
    lanes: list[list[int]] = [[] for _ in range(num_lanes)]
    lengths = np.zeros(num_lanes, np.int64)
    for number in sorted(range(len(sequences)), key=lambda i: -len(sequences[i].tokens)):
        lane = int(lengths.argmin())
        lanes[lane].append(number)
        lengths[lane] += len(sequences[number].tokens)
    batch = _empty_batch(int(lengths.max()), num_lanes)
    for lane, numbers in enumerate(lanes):
        step = 0
        for number in numbers:
            step = _write(batch, step, lane, sequences[number], number, 0)
        batch.start[step : step + 1, lane] = True  # filler begins a sequence of its own
    return batch


def _empty_batch(num_steps: int, num_lanes: int) -> Batch:
    shape = num_steps, num_lanes
    return Batch(
        token=np.zeros(shape, np.int64),
        answer=np.full(shape, NO_ANSWER),
        start=np.zeros(shape, np.bool_),
        sequence=np.full(shape, NO_SEQUENCE),
    )


def _write(batch: Batch, step: int, lane: int, example: Example, number: int, begin: int) -> int:
    """Writes a sequence from token `begin` on, as far as there is room; returns the next step."""
    size = min(len(example.tokens) - begin, len(batch.token) - step)
    steps, part = slice(step, step + size), slice(begin, begin + size)
    batch.token[steps, lane] = example.tokens[part]
    batch.answer[steps, lane] = example.answers[part]
    batch.sequence[steps, lane] = number
    if begin == 0:
        batch.start[step, lane] = True
    return step + size


class Segments:
    """The examples of a split behind one another in B lanes, in pieces of T steps.

    Iterating ends when every example of a finite split has been read to its end.

    Args:
        task: whose examples.
        split: which of them.
        seed: of the examples.
        num_lanes: B.
        num_steps: T.
    """

    def __init__(
        self, task: Task, split: Split, seed: int, *, num_lanes: int, num_steps: int
    ) -> None:
        self._task, self._split, self._seed = task, split, seed
        self._num_steps = num_steps
        self._next = 0  # number of the example that the next free lane gets
        self._places = [(NO_SEQUENCE, 0)] * num_lanes  # of each lane: its example, tokens read
        self._reading: list[Example | None] = [None] * num_lanes

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        """Returns the next T steps of all lanes."""
        batch = _empty_batch(self._num_steps, len(self._places))
        for lane in range(len(self._places)):
            self._fill(batch, lane)
        if not batch.num_tokens:
            raise StopIteration
        return batch

    def state_dict(self) -> dict[str, int | list[tuple[int, int]]]:
        """Returns where the lanes are, as plain values."""
        return {"next": self._next, "places": list(self._places)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken, in the same split of the same task and seed."""
        assert len(state["places"]) == len(self._places)
        self._next = state["next"]
        self._places = [(number, read) for number, read in state["places"]]
        self._reading = [
            None if number == NO_SEQUENCE else self._example(number) for number, _ in self._places
        ]

    def _fill(self, batch: Batch, lane: int) -> None:
        step = 0
        while step < self._num_steps:
            example = self._reading[lane] or self._begin_next(lane)
            if example is None:
                batch.start[step, lane] = True
                return
            number, read = self._places[lane]
            after = _write(batch, step, lane, example, number, read)
            read, step = read + after - step, after
            self._places[lane] = number, read
            if read == len(example.tokens):
                self._places[lane], self._reading[lane] = (NO_SEQUENCE, 0), None

    def _begin_next(self, lane: int) -> Example | None:
        """Gives a lane the next example; None where a finite split has no more."""
        size = self._task.size(self._split)
        if size is not None and self._next >= size:
            return None
        self._places[lane] = self._next, 0
        self._reading[lane] = self._example(self._next)
        self._next += 1
        return self._reading[lane]

    def _example(self, number: int) -> Example:
        return find_example(self._task, self._split, self._seed, number)
