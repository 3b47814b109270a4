"""What torchrun says, by the environment, of a process that it started."""

import os
import socket
from pathlib import Path


def is_rank() -> bool:
    """Returns whether this process was started as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def num_restarts() -> int:
    """Returns how often torchrun has started all ranks again, after one had failed."""
    return int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))


def launch_id() -> str:
    """Returns a text that a launch by torchrun has in common with its restarts alone.

    It is the job's id; where that is one machine's, also who launched. "" without torchrun.
    """
    job = os.environ.get("TORCHELASTIC_RUN_ID", "")
    if os.environ.get("GROUP_WORLD_SIZE") != "1":
        return job
    parent = os.getppid()
    return f"{job} {socket.gethostname()} {parent} {_began(parent)}"


def _began(process: int) -> str:
    """Returns when a process began, in ticks since the system did; "" where it does not say."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[19]
    except OSError:
        return ""
