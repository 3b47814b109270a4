"""Ranks as processes of their own, forked from the server of the fault campaign."""

import os
import pickle
import socket
import traceback

from tests.fault_runs import PATIENCE_SECONDS, SERVER, start, wait


def environments(size):
    """Returns what torchrun would say to each of so many ranks that meet at a free port."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    shared = {"WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    return [
        {name: str(value) for name, value in {"RANK": rank, **shared}.items()}
        for rank in range(size)
    ]


def call_in_ranks(size, function, *arguments):
    """Returns what `function(ranks, *arguments)` returns in each of so many ranks."""
    ends = []
    for environment in environments(size):
        ours, theirs = SERVER.Pipe(duplex=False)
        process = SERVER.Process(target=_call, args=(environment, theirs, function, arguments))
        process.start()
        theirs.close()
        ends.append((process, ours))
    results = []
    for process, end in ends:
        assert end.poll(PATIENCE_SECONDS), "a rank did not answer"
        kind, value = pickle.loads(end.recv_bytes())
        process.join(PATIENCE_SECONDS)
        assert kind == "result", value
        results.append(value)
    return results


def _call(environment, end, function, arguments):
    os.environ.update(environment)
    import torch

    from experiment.ranks import joined

    torch.set_num_threads(1)
    try:
        with joined() as ranks:
            answer = ("result", function(ranks, *arguments))
    except BaseException:
        answer = ("error", traceback.format_exc())
    end.send_bytes(pickle.dumps(answer))


def start_ranks(size, arguments, folder, faults=None, arguments_of=None, more=None):
    """Starts `run_atari.py` in so many ranks, output in a folder each; returns the processes.

    Args:
        size: number of ranks.
        arguments: of the command line.
        folder: of the folders `rank0`, ...
        faults: by rank.
        arguments_of: other arguments, by rank.
        more: of the environment.
    """
    return [
        start(
            (arguments_of or {}).get(rank, arguments),
            folder / f"rank{rank}",
            (faults or {}).get(rank),
            environment | (more or {}),
        )
        for rank, environment in enumerate(environments(size))
    ]


def wait_ranks(processes, folder):
    """Waits for ranks; returns how each ended."""
    return [wait(process, folder / f"rank{rank}") for rank, process in enumerate(processes)]


def run_ranks(size, arguments, folder, *others, **more):
    """Runs `run_atari.py` in so many ranks to the end of all; see `start_ranks`."""
    return wait_ranks(start_ranks(size, arguments, folder, *others, **more), folder)
