"""Times that can be compared on a noisy machine: taken in turns, given with their quartiles."""

import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch

from agents.impala.graphs import capture
from experiment.live import duration

Sample = tuple[float, ...]
"""Seconds of each part of one call."""

TURN_SECONDS = 0.02


@dataclass(frozen=True, slots=True)
class Timing:
    """Median and quartiles of one part, in milliseconds."""

    median: float
    quartiles: tuple[float, float]


def now(device: torch.device) -> float:
    """Returns the time in seconds once the device has done what it was asked for."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def device_seconds(call: Callable[[], object]) -> float:
    """Returns the seconds between a GPU's beginning and end of what `call` asks of it."""
    begin, end = (
        torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]
        for _ in range(2)
    )
    begin.record()
    call()
    end.record()
    end.synchronize()
    return float(begin.elapsed_time(end)) / 1e3


def replay_of(call: Callable[[], object], device: torch.device) -> Callable[[], None]:
    """Returns a replay of the CUDA graph of a call: its kernels without what launching costs."""
    graph, _ = capture(call, device)
    return graph.replay


def take_turns(
    calls: Mapping[str, Callable[[], Sample]],
    rounds: int,
    warm_up: int = 2,
    repeats: int = 10,
    *,
    is_told: bool = False,
) -> dict[str, list[Sample]]:
    """Samples every call in every round, so that a slow moment of the machine hits them all.

    Args:
        calls: by name; each runs once and returns the seconds of its parts.
        rounds: turns of each call. A turn repeats a call for TURN_SECONDS, so that a fast one is
            not always timed with the caches a slow one left behind.
        warm_up: calls before the first round, not sampled.
        repeats: of a call in a turn, at most.
        is_told: on stderr, between the rounds, which begins and how long they still take.

    Returns:
        Samples by name.
    """
    if is_told:
        print(f"warming up: {', '.join(calls)}", file=sys.stderr, flush=True)
    times: dict[str, int] = {}
    for name, call in calls.items():
        fastest = min(sum(call()) for _ in range(warm_up))
        times[name] = max(1, min(repeats, round(TURN_SECONDS / max(fastest, 1e-9))))
    samples: dict[str, list[Sample]] = {name: [] for name in calls}
    began = time.monotonic()
    for done in range(rounds):
        if is_told:
            left = duration((time.monotonic() - began) / done * (rounds - done)) if done else "..."
            print(f"round {done + 1} of {rounds}, {left} left", file=sys.stderr, flush=True)
        for name, call in calls.items():
            samples[name] += [call() for _ in range(times[name])]
    return samples


def summarise(seconds: list[float]) -> Timing:
    """Returns the median and the quartiles of at least one sample, in milliseconds."""
    if len(seconds) == 1:
        seconds = seconds * 2
    low, median, high = (1e3 * x for x in statistics.quantiles(seconds, n=4, method="inclusive"))
    return Timing(median, (low, high))


def speed_over(
    base: Sequence[float], changed: Sequence[float]
) -> tuple[float, tuple[float, float]]:
    """Returns how many times as fast `changed` is as `base`: median over turns, quartiles.

    Args:
        base: seconds for some work, one per turn, at least two turns.
        changed: seconds for the same work in another way, in the same turns.
    """
    ratios = [b / c for b, c in zip(base, changed, strict=True)]
    low, ratio, high = statistics.quantiles(ratios, n=4, method="inclusive")
    return ratio, (low, high)
