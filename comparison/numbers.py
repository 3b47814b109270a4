"""Runs side by side: the numbers of a report, as plain data that `comparison.json` holds too."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from comparison import statistics
from comparison.doubts import refuse_incomparable, warnings
from comparison.grouping import Task, core_rank, group
from comparison.origins import arithmetic_names, machines
from comparison.run_kind import RunKind
from comparison.run_record import RunRecord
from comparison.statistics import Array, Estimate, Profile

PROFILE_POINTS = 121


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What runs say about cores.

    Args:
        tasks: runs by task and core.
        cores: every core that has runs, in the order of `CORES`.
        shared_tasks, shared_cores: the largest set of tasks that each of a set of cores ran; what
            lies across tasks is computed on it. Empty where no two cores share one with a scale.
        aggregates: of every shared core, where there are two shared tasks or more.
        profiles: of every shared core.
        improvement: for every pair of shared cores, the chance that the first scores higher.
        warnings: what to know before believing any of it.
    """

    tasks: list[Task]
    cores: list[str]
    shared_tasks: list[Task]
    shared_cores: list[str]
    aggregates: dict[str, dict[str, Estimate]]
    profiles: dict[str, Profile]
    improvement: dict[tuple[str, str], Estimate]
    warnings: list[str]

    @property
    def kind(self) -> RunKind:
        """What all runs are of."""
        return self.tasks[0].kind

    @property
    def runs(self) -> list[RunRecord]:
        """Every run."""
        return [run for task in self.tasks for runs in task.runs.values() for run in runs]


def compare(runs: Sequence[RunRecord]) -> Comparison:
    """Computes everything that a report shows.

    Raises:
        ValueError: the runs cannot be compared.
    """
    tasks = group(runs)
    refuse_incomparable(tasks)
    cores = sorted({core for task in tasks for core in task.runs}, key=_rank)
    shared_tasks, shared_cores = largest_shared(tasks, cores)
    scores = {core: [task.normalised(core) for task in shared_tasks] for core in shared_cores}
    across = scores if len(shared_tasks) > 1 else {}
    return Comparison(
        tasks=tasks,
        cores=cores,
        shared_tasks=shared_tasks,
        shared_cores=shared_cores,
        aggregates={core: statistics.aggregates(x) for core, x in across.items()},
        profiles=_profiles(scores),
        improvement={
            (a, b): statistics.probability_of_improvement(scores[a], scores[b])
            for a, b in combinations(shared_cores, 2)
        },
        warnings=[*warnings(tasks), *_left_out(tasks, cores, shared_tasks, shared_cores)],
    )


def largest_shared(tasks: Sequence[Task], cores: Sequence[str]) -> tuple[list[Task], list[str]]:
    """Returns the tasks and cores, at least two cores, that fill the largest complete table.

    Only tasks with a scale count. Among tables of one size, the one with more cores is taken.
    """
    ran = {c: frozenset(t.name for t in tasks if t.scale and c in t.scored) for c in cores}
    common: dict[frozenset[str], None] = {}  # what each set of cores has in common, in order
    for names in ran.values():
        common |= dict.fromkeys([names, *(names & other for other in common)])
    best: tuple[frozenset[str], list[str]] = frozenset(), []
    for names in common:
        able = [core for core in cores if names and names <= ran[core]]
        size = len(names) * len(able), len(able)
        if len(able) > 1 and size > (len(best[0]) * len(best[1]), len(best[1])):
            best = names, able
    return [task for task in tasks if task.name in best[0]], best[1]


def as_values(comparison: Comparison) -> dict[str, Any]:
    """Returns the content of comparison.json."""
    return {
        "method": {
            "confidence": statistics.CONFIDENCE,
            "resamples": statistics.RESAMPLES,
            "bootstrap_seed": statistics.BOOTSTRAP_SEED,
            "min_runs_for_an_interval": statistics.MIN_RUNS,
        },
        "warnings": comparison.warnings,
        "tasks": {task.name: _task_values(task) for task in comparison.tasks},
        "across_tasks": {
            "tasks": [task.name for task in comparison.shared_tasks],
            "cores": comparison.shared_cores,
            "aggregates": {
                core: {name: estimate._asdict() for name, estimate in of.items()}
                for core, of in comparison.aggregates.items()
            },
            "probability_of_improvement": [
                {"of": a, "over": b, **estimate._asdict()}
                for (a, b), estimate in comparison.improvement.items()
            ],
        },
        "runs": [_run_values(run) for run in comparison.runs],
    }


def _profiles(scores: dict[str, list[Array]]) -> dict[str, Profile]:
    """Returns profiles from the floor to a little beyond the ceiling or the best run."""
    best = max((float(x.max()) for of in scores.values() for x in of), default=0.0)
    thresholds = np.linspace(0.0, max(1.2, 1.05 * best), PROFILE_POINTS)
    return {core: statistics.performance_profile(x, thresholds) for core, x in scores.items()}


def _task_values(task: Task) -> dict[str, Any]:
    return {
        task.kind.sign: task.task,
        "scale": task.scale._asdict() if task.scale else None,
        "cores": {
            core: {
                "seeds": [run.config.seed for run in runs],
                "measured": task.measured(core).tolist(),
                "scores": task.normalised(core).tolist() if task.scale else None,
                "mean": statistics.mean_of_runs(task.measured(core))._asdict(),
            }
            for core, runs in task.scored.items()
        },
    }


def _run_values(run: RunRecord) -> dict[str, Any]:
    return {
        "name": run.name,
        run.kind.sign: run.task,
        "core": run.config.core.kind,
        "seed": run.config.seed,
        "status": run.status or None,
        **(run.score.measures if run.score else {}),
        run.kind.unit: run.score.done if run.score else None,
        **_best_of_training(run),
        "other_evaluations": {e.variation: e.value for e in run.others},
        "commit": run.origin.get("commit"),
        "source_hash": run.origin.get("source_hash"),
        "machine": ", then ".join(machines(run)),
        "arithmetic": ", then ".join(arithmetic_names(run)),
    }


def _best_of_training(run: RunRecord) -> dict[str, float | None]:
    tag = run.kind.best_tag
    return {"best_training_return": run.metrics.end.get(tag)} if tag else {}


def _left_out(
    tasks: Sequence[Task], cores: Sequence[str], shared: Sequence[Task], able: Sequence[str]
) -> list[str]:
    """Says which tasks and cores the numbers across tasks leave out, and what they mix."""
    if not shared:
        return []
    names = [task.name for task in tasks if task not in shared]
    names += [core for core in cores if core not in able]
    found = []
    if names:
        found.append(
            f"Across tasks, {', '.join(able)} are compared on {', '.join(t.name for t in shared)}, "
            f"the most that cores have in common; left out: {', '.join(names)}."
        )
    if len({len(task.measured(core)) for task in shared for core in able}) > 1:
        found.append("Numbers of seeds differ: in IQM, every run weighs the same.")
    ends = {task.kind.ends(task.task)[1]: task.name for task in shared}
    if len(ends) > 1:
        tops = " and ".join(f"{end} on {name}" for end, name in ends.items())
        found.append(f"Across tasks, a score of 1 is not one thing: {tops}.")
    return found


def _rank(core: str) -> tuple[int, str]:
    return core_rank(core), core
