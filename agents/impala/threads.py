"""Async mode: one thread per crew of actors, between the queue and the weight store.

Rollout k is filled by crew k mod n. Its weights are the newest, or with `exact_lag` those that
stood after rollout k - exact_lag, whatever the threads' timing.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from agents.impala.actor import Actor, collect, policy_device
from agents.impala.config import TrainConfig
from agents.impala.learner import Learner
from agents.impala.queue import QueueClosed, RolloutQueue
from agents.impala.rollout import Rollout
from agents.impala.streams import acting_stream
from agents.impala.weights import WeightStore


class ActorThreads:
    """The actor side of async mode.

    Args:
        crews: one per thread; each crew shares one policy of its own.
        slots: rollouts of the queue.
        config: `exact_lag` is read here.
        first: number of the first rollout to fill.
        last: number after the last one.
    """

    def __init__(
        self,
        crews: Sequence[Sequence[Actor]],
        slots: Sequence[Rollout],
        config: TrainConfig,
        *,
        first: int,
        last: int,
    ) -> None:
        self.queue = RolloutQueue(slots, first=first)
        self._exact_lag = config.exact_lag
        self._weights = WeightStore(num_kept=1 + (config.exact_lag or 0))
        self._first, self._last = first, last
        self._crews = crews
        self._threads = [
            threading.Thread(target=self._run, args=(index,), name=f"actor-{index}", daemon=True)
            for index in range(len(crews))
        ]

    @contextmanager
    def running(self, learner: Learner) -> Iterator[None]:
        """Runs the threads inside the `with` block; none is left after it."""
        self._weights.publish(learner.policy, num_learned=self._first, version=learner.version)
        for thread in self._threads:
            thread.start()
        try:
            yield
        finally:
            self.queue.close()
            for thread in self._threads:
                thread.join()

    def publish(self, learner: Learner, num_learned: int) -> None:
        """Makes the learner's weights the newest, then frees the slot they came from."""
        self._weights.publish(learner.policy, num_learned=num_learned, version=learner.version)
        self.queue.release()

    def seconds_waited(self) -> dict[str, float]:
        """Returns seconds waited so far, by side; of actors, the mean over the threads."""
        return {
            "actor": self.queue.actor_wait_seconds / len(self._threads),
            "learner": self.queue.learner_wait_seconds,
        }

    def _run(self, index: int) -> None:
        crew = self._crews[index]
        try:
            with acting_stream(policy_device(crew[0].policy)):
                self._fill_all(crew, index)
        except QueueClosed:
            pass
        except BaseException as error:
            self.queue.close(error)

    def _fill_all(self, crew: Sequence[Actor], index: int) -> None:
        for number in range(self._first + index, self._last, len(self._crews)):
            self._fill(crew, number)

    def _fill(self, crew: Sequence[Actor], number: int) -> None:
        wanted = None
        if self._exact_lag is not None:
            wanted = max(self._first, number - self._exact_lag)
        rollout = self.queue.begin(number, num_learned=wanted or 0)
        rollout.version = self._weights.load(crew[0].policy, wanted)
        collect(crew, rollout)
        self.queue.submit(number)
