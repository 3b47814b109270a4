"""Starts the ranks of a run on this machine, as torchrun does, and says how they ended."""

import logging
import os
import signal
import sys
import tempfile
import uuid
from collections.abc import Sequence

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from experiment.provenance import ROOT, usable_cores


def launch(num_processes: int, command: Sequence[str]) -> int:
    """Runs a program as so many ranks that meet at a free port, and waits for them.

    A signal to this process goes on to all of them; they end with a checkpoint.

    Args:
        num_processes: of this machine; torch's threads are as many as leave no core over.
        command: a program of the repository and its arguments, for each.

    Returns:
        The exit code: 0, that of the first rank that failed, or 128 and the number of a signal.
    """
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, usable_cores() // num_processes)))
    signal.signal(signal.SIGUSR1, lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    logging.disable(logging.ERROR)  # of the launcher: what ended a rank it says itself
    with tempfile.TemporaryDirectory() as folder:
        config = LaunchConfig(
            min_nodes=1,
            max_nodes=1,
            nproc_per_node=num_processes,
            run_id=uuid.uuid4().hex,
            rdzv_backend="c10d",
            rdzv_endpoint="localhost:0",
            max_restarts=0,
            logs_specs=DefaultLogsSpecs(log_dir=folder),
        )
        try:
            elastic_launch(config, sys.executable)(str(ROOT / command[0]), *command[1:])
        except ChildFailedError as error:
            return _told(error)
        except SignalException as error:
            return 128 + int(error.sigval)
    return 0


def _told(error: ChildFailedError) -> int:
    """Returns the exit code of the rank that failed first; says what killed it, if anything."""
    rank, failure = error.get_first_failure()
    if failure.exitcode < 0:
        name = signal.Signals(-failure.exitcode).name
        print(f"error: rank {rank} was killed by {name}", file=sys.stderr)
        return 1
    return failure.exitcode
