"""Works off the runs of a sweep in processes of this machine."""

import time
from collections import deque
from collections.abc import Iterator, Sequence

from experiment.stop_signals import StopRequest
from sweep.plan import RunPlan
from sweep.steps import POLL_SECONDS, Outcome, RunInProgress


def run_locally(
    plans: Sequence[RunPlan], jobs: int, stop: StopRequest
) -> Iterator[tuple[RunPlan, Outcome] | None]:
    """Yields each run when it ends, and None now and then, so that the caller can show progress.

    Args:
        plans: in the order in which they begin.
        jobs: runs at a time.
        stop: once it is set, no run begins and those in progress are asked to stop.
    """
    waiting, running = deque(plans), list[RunInProgress]()
    try:
        while running or (waiting and not stop.signal_name):
            if stop.signal_name:
                for run in running:
                    run.stop()
            while waiting and len(running) < jobs and not stop.signal_name:
                running.append(RunInProgress(waiting.popleft()))
            ended = [(run, outcome) for run in running if (outcome := run.poll())]
            for run, outcome in ended:
                running.remove(run)
                yield run.plan, outcome
            if not ended:
                yield None
                time.sleep(POLL_SECONDS)
    finally:
        for run in running:
            run.stop()
        for run in running:
            run.wait()
