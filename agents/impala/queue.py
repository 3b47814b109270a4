"""A ring of preallocated rollouts between the actors and the learner.

Rollouts are numbered. Actor i of n fills numbers i, i + n, i + 2n, ... and the learner takes them
in order, so that what is learned does not depend on which actor was faster. Number k lives in
slot k mod num_slots: it may be begun once the rollout num_slots before it has been learned from.
An actor therefore waits rather than run ahead, nothing is dropped, and a rollout lies behind the
learner by at most num_slots - 1 rollouts.

Any failure closes the queue with its cause, and every waiter raises that cause.
"""

import threading
import time
from collections.abc import Callable, Sequence

from agents.impala.rollout import Rollout


class QueueClosed(Exception):  # not an error: the run is over
    """The queue was closed without a failure."""


class RolloutQueue:
    """The ring; all waiting and waking of the async mode happens here.

    Args:
        slots: preallocated rollouts.
        first: number of the first rollout.
    """

    def __init__(self, slots: Sequence[Rollout], *, first: int = 0) -> None:
        self._slots = slots
        self._filled: set[int] = set()
        self._num_learned = first
        self._cause: BaseException | None = None
        self._changed = threading.Condition()
        self.actor_wait_seconds = 0.0
        self.learner_wait_seconds = 0.0

    def begin(self, number: int, *, num_learned: int = 0) -> Rollout:
        """Returns the slot of rollout `number` once it is free and `num_learned` are learned."""
        with self._changed:
            waited = self._wait(
                lambda: (
                    number < self._num_learned + len(self._slots)
                    and num_learned <= self._num_learned
                )
            )
            self.actor_wait_seconds += waited  # read after the wait, in which other actors add
        return self._slots[number % len(self._slots)]

    def submit(self, number: int) -> None:
        """Hands a filled rollout to the learner."""
        with self._changed:
            self._filled.add(number)
            self._changed.notify_all()

    def take(self) -> Rollout:
        """Returns the next rollout in order once it is filled."""
        with self._changed:
            number = self._num_learned
            waited = self._wait(lambda: number in self._filled)
            self.learner_wait_seconds += waited
        return self._slots[number % len(self._slots)]

    def release(self) -> None:
        """Frees the slot that `take` returned."""
        with self._changed:
            self._filled.remove(self._num_learned)
            self._num_learned += 1
            self._changed.notify_all()

    def close(self, cause: BaseException | None = None) -> None:
        """Ends every wait, now and later, with the first cause given."""
        with self._changed:
            if self._cause is None:
                self._cause = cause if cause is not None else QueueClosed("the run is over")
            self._changed.notify_all()

    def _wait(self, ready: Callable[[], bool]) -> float:
        """Waits with the lock held until `ready`; returns the seconds it took."""
        began = time.perf_counter()
        self._changed.wait_for(lambda: self._cause is not None or ready())
        if self._cause is not None:
            raise self._cause
        return time.perf_counter() - began
