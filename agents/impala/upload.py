"""Rows on their way from host memory to the device of the rollouts."""

from collections import defaultdict, deque
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.impala.streams import ACTING, new_stream


class Staging:
    """Pinned memory for one array on its way, kept for the next."""

    def __init__(self, like: Tensor) -> None:
        self.tensor = torch.empty_like(like, pin_memory=True)
        self.array = self.tensor.numpy()
        self.crossed = torch.cuda.Event()  # type: ignore[no-untyped-call]


class Uploader:
    """Writes host arrays into device tensors.

    On a GPU an array crosses once, in its own dtype, through pinned memory on a stream of its
    own, so that it overlaps what the device computes for other environments. It is NumPy that
    copies it there, in one thread: torch would use every core, and all are the environments'.

    Args:
        device: where the targets are.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream = new_stream(device, ACTING) if device.type == "cuda" else None
        self._rings: defaultdict[Any, deque[Staging]] = defaultdict(deque)

    def begin(self) -> None:
        """Lets the writes from now on come after what was asked of the current stream."""
        if self._stream is not None:
            self._stream.wait_stream(torch.cuda.current_stream(self._stream.device))

    def write(self, target: Tensor, array: NDArray[Any]) -> None:
        """Starts to copy `array` into `target`, of equal shape; see `wait`."""
        source = torch.from_numpy(array)
        if self._stream is None:
            target.copy_(source)
            return
        staging = self._staging_for(source)
        np.copyto(staging.array, array)
        with torch.cuda.stream(self._stream):
            target.copy_(staging.tensor, non_blocking=True)
            staging.crossed.record(self._stream)

    def wait(self) -> None:
        """Lets what is asked of the current stream from now on see the writes."""
        if self._stream is not None:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)

    def _staging_for(self, source: Tensor) -> Staging:
        """Returns staging of this shape and dtype whose last copy is done."""
        ring = self._rings[source.shape, source.dtype]
        is_free = bool(ring) and ring[0].crossed.query()  # type: ignore[no-untyped-call]
        staging = ring.popleft() if is_free else Staging(source)
        ring.append(staging)
        return staging
