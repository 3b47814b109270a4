"""Plans a sweep, says how long it will take, works it off, and reports what failed."""

from collections.abc import Iterator
from importlib.util import find_spec

from experiment.files import refuse_unwritable
from experiment.stop_signals import StopRequest, stop_signals
from sweep.display import SweepDisplay
from sweep.estimate import Speed, Untimed, estimate, frames_left, measured_speed
from sweep.local import run_locally
from sweep.plan import RunPlan, SweepConfig, plan_runs
from sweep.steps import Outcome, command_line
from sweep.tune import is_tried, keep_best, plan_trials


def sweep(config: SweepConfig) -> bool:
    """Works off a sweep until a signal stops it; see `work_off`."""
    with stop_signals() as stop:
        return work_off(config, stop)


def work_off(config: SweepConfig, stop: StopRequest) -> bool:
    """Works off a sweep, or prints its commands; returns whether all went well.

    Raises:
        ValueError: the runs cannot be planned, or settings do not fit each other.
        ArgumentError: a value that `train` would refuse.
    """
    if config.launcher == "ray" and find_spec("ray") is None:
        raise ValueError("--launcher ray needs Ray: pip install -e '.[ray]'")
    trials = plan_trials(config)
    tried = [trial.plan for of_choice in trials.values() for trial in of_choice]
    if config.print:
        is_tuned = all(map(is_tried, tried))
        left = plan_runs(config, keep_best(trials)) if is_tuned else tried
        for line in filter(None, map(command_line, left)):
            print(line)
        return True
    refuse_unwritable(config.out)
    if tried and not _run_all(config, tried, stop) and not all(map(is_tried, tried)):
        return False
    return _run_all(config, plan_runs(config, keep_best(trials)), stop)


def _run_all(config: SweepConfig, plans: list[RunPlan], stop: StopRequest) -> bool:
    """Works off runs; returns whether every one is finished."""
    speeds = _speeds(plans, stop)
    if not stop.signal_name:
        _refuse_what_none_can_run(config, plans, speeds)
        print(estimate(plans, speeds, config.jobs), flush=True)
    with SweepDisplay(plans) as shown:
        for ended in _launch(config, plans, stop):
            if ended is not None:
                shown.end(*ended)
            shown.refresh()
    print(_report(plans, shown, stop))
    succeeded = [o for o in shown.outcomes.values() if o.kind in ("finished", "skipped")]
    return len(succeeded) == len(plans)


def _launch(
    config: SweepConfig, plans: list[RunPlan], stop: StopRequest
) -> Iterator[tuple[RunPlan, Outcome] | None]:
    if config.launcher == "local":
        return run_locally(plans, config.jobs, stop)
    from sweep.on_ray import run_on_ray  # an extra

    return run_on_ray(plans, stop)


def _refuse_what_none_can_run(
    config: SweepConfig, plans: list[RunPlan], speeds: dict[str, Speed | Untimed]
) -> None:
    """Raises ValueError where all settings of all runs are refused; Ray may send them elsewhere."""
    refused = [of.cause for of in speeds.values() if isinstance(of, Untimed) and of.is_refused]
    if config.launcher == "local" and len(refused) == len({plan.group for plan in plans}):
        raise ValueError(refused[0])


def _speeds(plans: list[RunPlan], stop: StopRequest) -> dict[str, Speed | Untimed]:
    speeds: dict[str, Speed | Untimed] = {}
    for plan in plans:
        if frames_left(plan) and plan.group not in speeds and not stop.signal_name:
            speeds[plan.group] = measured_speed(plan)
    return speeds


def _report(plans: list[RunPlan], shown: SweepDisplay, stop: StopRequest) -> str:
    kinds = [outcome.kind for outcome in shown.outcomes.values()]
    counts = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    if len(kinds) < len(plans):
        counts.append(f"{len(plans) - len(kinds)} not begun after {stop.signal_name}")
    lines = [f"{len(plans)} runs: {', '.join(counts)}"]
    for plan, outcome in shown.outcomes.items():
        if outcome.kind == "failed":
            lines.append(f"failed: {plan.path}: {outcome.cause} (more in {plan.log})")
    return "\n".join(lines)
