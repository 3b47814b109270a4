"""Works off the runs of a sweep as tasks of a Ray cluster whose machines share its files.

Ray places the tasks, and begins one again whose worker or machine died; the run then goes on from
its last checkpoint. A cluster that runs already is used, else one is started on this machine.
"""

import os
import signal
from collections.abc import Iterable, Iterator, Sequence

import ray
from ray.exceptions import RayError, TaskCancelledError

from experiment.stop_signals import StopRequest
from sweep.plan import RunPlan
from sweep.steps import POLL_SECONDS, Outcome, RunInProgress

MAX_RETRIES = 3  # of a run whose worker died; a run that fails by itself is not tried again


def run_on_ray(
    plans: Sequence[RunPlan], stop: StopRequest
) -> Iterator[tuple[RunPlan, Outcome] | None]:
    """Yields each run when it ends, and None now and then, so that the caller can show progress.

    Each process of a run asks for `num_threads` CPUs, at least one, and for a GPU where `device` is
    cuda; those of one run are on one machine.

    Args:
        plans: in the order in which Ray gets them.
        stop: once it is set, runs that wait are dropped and those in progress are stopped.
    """
    is_ours = not ray.is_initialized()
    if is_ours:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a cluster of ours tells nobody
        ray.init(log_to_driver=False)
    pending = {_submit(plan): plan for plan in plans}
    is_cancelled = False
    try:
        while pending:
            if stop.signal_name and not is_cancelled:
                _cancel(pending)
                is_cancelled = True
            ended, _ = ray.wait(list(pending), timeout=POLL_SECONDS)
            for task in ended:
                yield pending.pop(task), _outcome(task)
            if not ended:
                yield None
    finally:
        if pending:
            _cancel(pending)
            ray.wait(list(pending), num_returns=len(pending))  # their last checkpoint is written
        if is_ours:
            ray.shutdown()


def _submit(plan: RunPlan) -> "ray.ObjectRef[Outcome]":
    task = ray.remote(_work_off).options(
        name=plan.name,
        num_cpus=plan.processes * max(plan.config.num_threads, 1),
        num_gpus=plan.processes if plan.config.device == "cuda" else 0,
        max_retries=MAX_RETRIES,
    )
    return task.remote(plan)


def _work_off(plan: RunPlan) -> Outcome:
    os.chdir(plan.working_dir)  # a worker begins where its cluster did; run folders are relative
    # Ray cancels by KeyboardInterrupt, which a cluster begun in a script's background ignores
    signal.signal(signal.SIGINT, signal.default_int_handler)
    return RunInProgress(plan).wait()


def _cancel(tasks: "Iterable[ray.ObjectRef[Outcome]]") -> None:
    """Drops tasks that wait; those in progress get KeyboardInterrupt, which stops their runs."""
    for task in tasks:
        ray.cancel(task)


def _outcome(task: "ray.ObjectRef[Outcome]") -> Outcome:
    try:
        outcome: Outcome = ray.get(task)
    except TaskCancelledError:
        return Outcome("stopped")
    except RayError as error:
        return Outcome("failed", str(error).strip().splitlines()[0])
    return outcome
