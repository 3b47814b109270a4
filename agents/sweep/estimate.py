"""How long a sweep will take, said before it starts, from measured speeds."""

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from agents.experiment.metrics import newest_row
from agents.experiment.progress import duration
from agents.impala.config import TrainConfig
from agents.impala.nonfinite import NonFiniteUpdate
from agents.impala.train import set_threads
from agents.impala.trainer import Trainer
from agents.sweep.plan import RunPlan

TRIAL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Speed:
    """How fast runs of one setting train, and how that is known."""

    frames_per_second: float
    is_trial: bool


def measured_speed(plan: RunPlan) -> Speed | None:
    """Returns the speed of an earlier run that differs in its seed alone, or else of a trial.

    None where the trial's weights do not stay finite: the run itself will fail and say why.
    """
    for run in sorted(plan.path.parent.glob("seed*")):
        row = newest_row(run / "metrics.jsonl")
        if row is not None and row.get("wall_seconds", 0.0) >= TRIAL_SECONDS:
            return Speed(row["frames"] / row["wall_seconds"], is_trial=False)
    try:
        return Speed(trial(plan.config), is_trial=True)
    except NonFiniteUpdate:
        return None


def trial(config: TrainConfig) -> float:
    """Returns frames/s of a few rollouts; the first, which compiles and warms up, is left out."""
    set_threads(config)
    with closing(Trainer(config)) as trainer, closing(trainer.rollouts()) as rollouts:
        began, frames = time.perf_counter(), 0
        next(rollouts)
        if trainer.total_rollouts > 1:
            began, frames = time.perf_counter(), trainer.frames
        while time.perf_counter() - began < TRIAL_SECONDS and next(rollouts, None) is not None:
            pass
        return (trainer.frames - frames) / (time.perf_counter() - began)


def frames_trained(path: Path) -> int:
    """Returns the frames behind a run folder, 0 where there is none."""
    row = newest_row(path / "metrics.jsonl")
    return int(row["frames"]) if row else 0


def frames_left(plan: RunPlan) -> int:
    """Returns the frames that a run still has to train for."""
    return max(plan.config.total_frames - frames_trained(plan.path), 0)


def estimate(plans: Sequence[RunPlan], speeds: dict[str, Speed | None], jobs: int) -> str:
    """Says how long training will take, and what that rests on.

    Args:
        plans: all runs of the sweep.
        speeds: by `RunPlan.group`, for every run that has frames left.
        jobs: runs at a time.
    """
    todo = [plan for plan in plans if frames_left(plan)]
    known = {group: speed for group, speed in speeds.items() if speed is not None}
    seconds = [
        frames_left(plan) / known[plan.group].frames_per_second
        for plan in todo
        if plan.group in known
    ]
    total = max(sum(seconds) / jobs, max(seconds, default=0.0))
    num_trials = sum(speed.is_trial for speed in known.values())
    lines = [
        f"{len(plans)} runs, {len(todo)} of them with frames left to train, {jobs} at a time",
        f"estimated training time: {duration(total)}",
    ]
    if num_trials:
        lines.append(f"  {num_trials} settings timed for {TRIAL_SECONDS:g} s, one at a time, here")
    if len(known) > num_trials:
        lines.append(f"  {len(known) - num_trials} settings at the speed of earlier runs")
    if len(speeds) > len(known):
        lines.append(f"  without {len(speeds) - len(known)} settings that diverged when timed")
    if todo:
        lines.append("  starting and evaluating come on top; runs that share cores may be slower")
    return "\n".join(lines)
