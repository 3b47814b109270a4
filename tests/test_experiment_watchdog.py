"""The watchdog: it ends what stands still, names the part, and leaves the rest alone."""

import threading
import time

import pytest

from agents.impala.queue import RolloutQueue
from agents.impala.trainer import Trainer
from envs import EnvConfig, make_env
from experiment.watchdog import Watchdog, standstill


def test_a_run_that_beats_is_left_alone():
    causes = []
    with Watchdog(0.4, {}, causes.append) as watchdog:
        for _ in range(15):
            time.sleep(0.05)
            watchdog.beat()
    assert causes == []


def test_a_run_without_beats_is_given_up():
    causes = []
    with Watchdog(0.1, {}, causes.append):
        time.sleep(0.5)
    assert len(causes) == 1
    assert causes[0].startswith("no progress for 0.1 s: ")


def test_without_a_limit_nothing_is_watched():
    before = threading.active_count()
    with Watchdog(None, {}, pytest.fail):
        assert threading.active_count() == before


def test_the_part_that_stands_still_is_named_and_those_that_wait_are_not():
    held, queue = threading.Event(), RolloutQueue(["only"])
    env = make_env("tmaze", EnvConfig(), 2, seed=1)

    class Hangs:
        def __getitem__(self, rows):
            held.wait()

    env._observations = Hangs()
    hung = threading.Thread(target=env.recv, name="actor-1", daemon=True)
    waiting = threading.Thread(target=queue.take, name="waits", daemon=True)
    for thread in (hung, waiting):
        thread.start()
    time.sleep(0.1)
    text = standstill(Trainer.parts)
    assert "env stands still in envs/memory/env.py, line" in text
    assert "(thread actor-1)" in text
    assert "waits" not in text
    held.set()
    queue._filled.add(0)
    queue.submit(0)
