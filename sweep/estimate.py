"""How long a sweep will take, said before it starts, from measured speeds."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from experiment.failure import cause, out_of_memory
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.run import set_threads
from sweep.plan import RunPlan

TRIAL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast runs of one setting train, and how that is known."""

    frames_per_second: float
    is_trial: bool


@dataclass(frozen=True, slots=True)
class Untimed:
    """Why a setting has no speed: its run will say so too, unless it is sent elsewhere.

    Args:
        cause: in one line.
        is_refused: the settings do not fit each other or this machine; no failure on the way.
    """

    cause: str
    is_refused: bool


def measured_speed(plan: RunPlan) -> Speed | Untimed:
    """Returns the speed of an earlier run that differs in its seed alone, or else of a trial."""
    for run in sorted(plan.path.parent.glob("seed*")):
        row = _last_row(run)
        if row.get("wall_seconds", 0.0) >= TRIAL_SECONDS:
            return Speed(row["frames"] / row["wall_seconds"], is_trial=False)
    try:
        return Speed(trial(plan.config, plan.group), is_trial=True)
    except ValueError as error:
        return Untimed(str(error), is_refused=True)
    except (OSError, FloatingPointError, MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and not out_of_memory(error):
            raise
        return Untimed(cause(error, Trainer.memory_settings), is_refused=False)
    finally:
        torch.cuda.empty_cache()  # a trial's memory is the runs' now


def trial(config: TrainConfig, name: str) -> float:
    """Returns frames/s of a few rollouts; the first, which compiles and warms up, is left out.

    Says so under the name of the runs, once it is known that they can begin.
    """
    set_threads(config.num_threads)
    with closing(Trainer(config)) as trainer, closing(trainer.rows()) as rows:
        print(f"timing {name} for {TRIAL_SECONDS:g} s", flush=True)
        began, frames = time.perf_counter(), 0
        next(rows)
        if trainer.rollouts_left:
            began, frames = time.perf_counter(), trainer.done
        while time.perf_counter() - began < TRIAL_SECONDS and next(rows, None) is not None:
            pass
        return (trainer.done - frames) / (time.perf_counter() - began)


def frames_trained(path: Path) -> int:
    """Returns the frames behind a run folder, 0 where none are known."""
    return int(_last_row(path).get("frames", 0))


def frames_left(plan: RunPlan) -> int:
    """Returns the frames that a run still has to train for."""
    return max(plan.config.total_frames - frames_trained(plan.path), 0)


def estimate(plans: Sequence[RunPlan], speeds: dict[str, Speed | Untimed], jobs: int) -> str:
    """Says how long training will take, and what that rests on.

    Args:
        plans: all runs of the sweep.
        speeds: by `RunPlan.group`, for every run that has frames left; or why there is none.
        jobs: runs at a time.
    """
    todo = [plan for plan in plans if frames_left(plan)]
    known = {group: speed for group, speed in speeds.items() if isinstance(speed, Speed)}
    seconds = [
        frames_left(plan) / known[plan.group].frames_per_second
        for plan in todo
        if plan.group in known
    ]
    total = max(sum(seconds) / jobs, max(seconds, default=0.0))
    processes = max(plan.processes for plan in plans)
    num_trials = sum(speed.is_trial for speed in known.values())
    lines = [
        f"{len(plans)} runs, {len(todo)} of them with frames left to train, {jobs} at a time"
        + (f", of {processes} processes each" if processes > 1 else ""),
        f"estimated training time: {duration(total) if known or not todo else 'unknown'}",
    ]
    if num_trials:
        how = "one at a time, here" + (", as one process each" if processes > 1 else "")
        lines.append(f"  {num_trials} settings timed for {TRIAL_SECONDS:g} s, {how}")
    if len(known) > num_trials:
        lines.append(f"  {len(known) - num_trials} settings at the speed of earlier runs")
    for group, speed in speeds.items():
        if isinstance(speed, Untimed):
            lines.append(f"  without {group}, which cannot be timed here: {speed.cause}")
    if todo:
        lines.append("  starting and evaluating come on top; runs that share cores may be slower")
    return "\n".join(lines)


def _last_row(path: Path) -> dict[str, Any]:
    """Returns a run's last row of metrics, {} where there is none.

    Nor is there one where they are damaged: the run says so itself, when it is resumed.
    """
    try:
        return newest_row(path / "metrics.jsonl") or {}
    except ValueError:
        return {}
