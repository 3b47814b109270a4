"""A process that must not outlive the one that started it (Linux; elsewhere it may)."""

import ctypes
import signal
import sys

LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None
PR_SET_PDEATHSIG = 1  # linux/prctl.h


def end_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Has this process get a signal when its parent ends, in whatever way."""
    if LIBC is not None:
        LIBC.prctl(PR_SET_PDEATHSIG, number)
