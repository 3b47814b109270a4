"""The batches that training learns from, one after the other, from wherever it stands."""

from itertools import islice
from typing import Any, Protocol

from sequences.config import BatchConfig
from sequences.packing import Batch, Segments, pack
from sequences.tasks import Task, examples


class Stream(Protocol):
    """Batches of the train split, without end."""

    def __next__(self) -> Batch:
        """Returns the next batch."""

    def state_dict(self) -> dict[str, Any]:
        """Returns where it stands, as plain values."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""


class WholeSequences:
    """Batches of whole sequences, in the order of their numbers.

    Args:
        task: whose sequences.
        seed: of the sequences.
        num_sequences: of a batch.
        num_lanes: that they are packed into.
    """

    def __init__(self, task: Task, seed: int, *, num_sequences: int, num_lanes: int) -> None:
        self._task, self._seed = task, seed
        self._num_sequences, self._num_lanes = num_sequences, num_lanes
        self._next = 0  # number of the sequence that the next batch begins with

    def __next__(self) -> Batch:
        """Returns the next batch."""
        drawn = examples(self._task, "train", self._seed, self._next)
        batch = pack(list(islice(drawn, self._num_sequences)), self._num_lanes)
        self._next += self._num_sequences
        return batch

    def state_dict(self) -> dict[str, Any]:
        """Returns where it stands, as plain values."""
        return {"next": self._next}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Goes on where `state_dict` was taken."""
        self._next = state["next"]


def make_stream(task: Task, config: BatchConfig, seed: int) -> Stream:
    """Returns the batches that settings describe."""
    if config.segment_length is None:
        return WholeSequences(task, seed, num_sequences=config.sequences, num_lanes=config.lanes)
    return Segments(task, "train", seed, num_lanes=config.lanes, num_steps=config.segment_length)
