"""Waiting for other processes, and what can be seen of them."""

import re
import time
from pathlib import Path

PATIENCE_SECONDS = 120.0


def wait_for(condition):
    """Waits until a condition holds."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to be"
        time.sleep(0.01)


def handles(pid, number):
    """Returns whether a process has a handler of its own for a signal; False if it is gone."""
    try:
        caught = re.search(r"SigCgt:\s*(\w+)", Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return False
    return caught is not None and bool(int(caught[1], 16) >> (number - 1) & 1)
