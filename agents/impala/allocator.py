"""Memory that the training loop frees is kept for its next turn, not given back to the system."""

import ctypes
import sys

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
KEPT_BYTES = 2**31 - 1
LARGEST_FROM_HEAP_BYTES = 32 * 2**20  # the most that glibc takes for M_MMAP_THRESHOLD


def keep_freed_memory() -> bool:
    """Tells glibc to keep what is freed, for the whole process; elsewhere it does nothing.

    Every minibatch frees tens of megabytes of activations and asks for them again. By default
    glibc returns them to the system in between, and each page of them faults on its next use
    (docs/throughput.md). Blocks above 32 MiB still come from the system, one by one.

    Returns:
        Whether the C library took it.
    """
    if not sys.platform.startswith("linux"):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # a C library other than glibc
        return False
    largest = mallopt(M_MMAP_THRESHOLD, LARGEST_FROM_HEAP_BYTES)
    kept = mallopt(M_TRIM_THRESHOLD, KEPT_BYTES)
    return bool(largest and kept)
