"""CUDA streams of actor threads and learner; on a CPU nothing happens here.

Every thread asks its kernels of a stream of its own, so that acting and learning overlap on the
device. Acting goes first: its kernels are small and the environments wait for them, and without a
priority each would wait behind a large kernel of the learner's. What one thread hands to another
(a rollout, weights) is complete first: the giver waits for its stream. Both moments are rare, once
per rollout.
"""

from contextlib import AbstractContextManager, nullcontext

import torch

ACTING = -1
"""Priority of the streams of acting; the learner's is 0."""


def new_stream(device: torch.device, priority: int = 0) -> torch.cuda.Stream:
    """Returns a stream of a CUDA device."""
    return torch.cuda.Stream(device, priority)  # type: ignore[no-untyped-call]


def acting_stream(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which this thread has a stream of its own on the device."""
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(new_stream(device, ACTING))


def finish(device: torch.device) -> None:
    """Waits until the device has done what this thread asked of its current stream.

    The thread sleeps; by default it would spin, on a core that the environments need.
    """
    if device.type == "cuda":
        done = sleeping_event()
        done.record(torch.cuda.current_stream(device))
        done.synchronize()


def sleeping_event() -> torch.cuda.Event:
    """Returns an event on which a thread sleeps until the device gets there."""
    return torch.cuda.Event(blocking=True)  # type: ignore[no-untyped-call]
