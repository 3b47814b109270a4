"""What ended a run, in one line: the cause, what to try, and how to go on."""

import os
import sys
import threading
from pathlib import Path

import torch

from experiment.checkpoint import numbered
from experiment.ranks import RankLost
from experiment.run_dir import RunDir

STATUS_SECONDS = 5.0  # for status.json on a disk that may hang


class RunFailed(Exception):
    """A run ended by something that one line explains; the cause is chained to it."""


def out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, on the CPU or a GPU."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and "can't allocate memory" in str(error)


def failure(
    run_dir: RunDir, error: BaseException, memory_settings: str, found: str = ""
) -> BaseException:
    """Records why a run failed and returns what to raise in place of `error`.

    Args:
        run_dir: the run's folder.
        error: what ended it.
        memory_settings: what decides how much memory is held, in words.
        found: what else the user should know, ending in "; ".
    """
    why = cause(error, memory_settings)
    lost = record(run_dir, why)
    if isinstance(error, OSError | FloatingPointError | RankLost) or out_of_memory(error):
        smaller = " and smaller settings as flags" if out_of_memory(error) else ""
        return RunFailed(f"{why}; {found}{how_to_go_on(run_dir.path)}{smaller}{lost}")
    if isinstance(error, ValueError):  # no longer the user's: the settings were accepted
        return RuntimeError(f"training failed: {error}")
    return error


def cause(error: BaseException, memory_settings: str) -> str:
    """Returns the cause in one line; where memory ran out, with the settings that decide it.

    Args:
        error: the cause.
        memory_settings: in words; "" where none are known.
    """
    if out_of_memory(error):
        return "out of memory" + (f": try a smaller {memory_settings}" if memory_settings else "")
    if isinstance(error, RankLost):
        return str(error)
    return " ".join(f"{type(error).__name__}: {error}".split())


def record(run_dir: RunDir, why: str) -> str:
    """Writes status.json; returns what to add to a message where that fails."""
    try:
        run_dir.set_status("failed", why)
    except OSError:
        return "; status.json could not be written"
    return ""


def how_to_go_on(path: Path) -> str:
    """Returns what is left of a run and what continues it."""
    checkpoints = numbered(path / "checkpoints")
    if not path.is_dir():
        return f"{path} is gone"
    last = checkpoints[-1].name if checkpoints else "none"
    return f"last checkpoint: {last}; once the cause is mended, go on with --resume {path}"


def end_process(run_dir: RunDir, why: str) -> None:
    """Says why on screen and in status.json, and ends the process, hung threads and all."""
    print(f"error: {why}; {how_to_go_on(run_dir.path)}", file=sys.stderr, flush=True)
    writer = threading.Thread(target=record, args=(run_dir, why), daemon=True)
    writer.start()
    writer.join(STATUS_SECONDS)
    os._exit(1)


def end_follower(rank: int, why: str) -> None:
    """Says why on screen and ends the process of a rank that records nothing."""
    print(f"error: rank {rank} ends: {why}", file=sys.stderr, flush=True)
    os._exit(1)
