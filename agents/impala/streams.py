"""CUDA streams of actor threads and learner; on a CPU nothing happens here.

Every thread asks its kernels of a stream of its own, so that acting and learning overlap on the
device. What one thread hands to another (a rollout, weights) is complete first: the giver waits
for its stream. Both moments are rare, once per rollout.
"""

from contextlib import AbstractContextManager, nullcontext

import torch


def own_stream(device: torch.device) -> AbstractContextManager[object]:
    """Returns a context in which this thread has a stream of its own on the device."""
    if device.type != "cuda":
        return nullcontext()
    return torch.cuda.stream(torch.cuda.Stream(device))  # type: ignore[no-untyped-call]


def finish(device: torch.device) -> None:
    """Waits until the device has done what this thread asked of its current stream."""
    if device.type == "cuda":
        torch.cuda.current_stream(device).synchronize()
