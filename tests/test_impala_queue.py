"""The ring between actors and learner: order, bounds, and the end of every wait."""

import threading
import time

import pytest

from agents.impala.queue import QueueClosed, RolloutQueue


def start(target):
    thread = threading.Thread(target=target, daemon=True)
    thread.start()
    return thread


def test_rollouts_are_learned_in_order_whatever_the_order_they_are_filled_in():
    queue = RolloutQueue(["a", "b", "c"])
    for number in range(3):
        queue.begin(number)
    for number in (2, 0, 1):
        queue.submit(number)
    taken = []
    for _ in range(3):
        taken.append(queue.take())
        queue.release()
    assert taken == ["a", "b", "c"]


def test_a_slot_is_free_only_after_it_has_been_learned_from():
    queue = RolloutQueue(["only"])
    queue.begin(0)
    queue.submit(0)
    begun = threading.Event()
    thread = start(lambda: (queue.begin(1), begun.set()))
    queue.take()
    assert not begun.wait(0.1)
    queue.release()
    assert begun.wait(5.0)
    thread.join(5.0)


def test_the_waits_of_several_actors_add_up():
    queue = RolloutQueue(["only"])
    threads = [start(lambda n=number: queue.begin(n)) for number in (1, 1, 1)]
    time.sleep(0.3)
    queue.begin(0)
    queue.submit(0)
    queue.take()
    queue.release()
    for thread in threads:
        thread.join(5.0)
    assert 0.8 < queue.actor_wait_seconds < 3.0  # three of 0.3 and what starting them took
    assert queue.learner_wait_seconds < 0.3


def test_a_failure_reaches_every_waiter_with_its_cause():
    queue = RolloutQueue(["only"])
    queue.begin(0)
    seen = []

    def wait(call):
        try:
            call()
        except RuntimeError as error:
            seen.append(str(error))

    threads = [start(lambda: wait(queue.take)), start(lambda: wait(lambda: queue.begin(1)))]
    time.sleep(0.05)
    queue.close(RuntimeError("the emulator died"))
    queue.close(RuntimeError("a later consequence"))
    for thread in threads:
        thread.join(5.0)
        assert not thread.is_alive()
    assert seen == ["the emulator died"] * 2
    with pytest.raises(RuntimeError, match="the emulator died"):
        queue.take()


def test_closing_without_a_cause_is_the_end_of_the_run():
    queue = RolloutQueue(["only"])
    queue.close()
    with pytest.raises(QueueClosed):
        queue.begin(0)
