"""Rows on their way from host memory to the device of the rollouts."""

from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor


class Uploader:
    """Writes host arrays into device tensors.

    On a GPU an array crosses once, in its own dtype, through pinned memory on a stream of its
    own, so that it overlaps what the device computes for other environments. Torch's allocator
    keeps each pinned block until its copy is done.

    Args:
        device: where the targets are.
    """

    def __init__(self, device: torch.device) -> None:
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]

    def write(self, target: Tensor, array: NDArray[Any]) -> None:
        """Starts to copy `array` into `target`, of equal shape; see `wait`."""
        source = torch.from_numpy(array)
        if self._stream is None:
            target.copy_(source)
            return
        with torch.cuda.stream(self._stream):
            target.copy_(source.pin_memory(), non_blocking=True)

    def wait(self) -> None:
        """Lets what is asked of the current stream from now on see the writes."""
        if self._stream is not None:
            torch.cuda.current_stream(self._stream.device).wait_stream(self._stream)
