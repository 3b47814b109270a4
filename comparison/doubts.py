"""What stands between runs and a conclusion: what is refused, and what the reader is told."""

from collections import Counter
from collections.abc import Iterator, Sequence

from comparison.grouping import Task
from comparison.origins import (
    ARITHMETIC,
    arithmetic,
    changed_settings,
    machines,
    sessions,
    source_hashes,
)
from comparison.run_record import RunRecord
from comparison.statistics import MIN_RUNS

BUDGET_TOLERANCE = 1.05  # runs end on a whole rollout, some frames apart
SPEED_TOLERANCE = 1.5


def refuse_incomparable(tasks: Sequence[Task]) -> None:
    """Raises ValueError, with the reason, where the runs support no comparison at all."""
    if not any(task.scored for task in tasks):
        raise ValueError(
            f"no run has a score: evaluate them first ({tasks[0].kind.words.evaluate})"
        )
    cores = {core for task in tasks for core in task.scored}
    if len(cores) > 1 and all(len(task.scored) < 2 for task in tasks):
        have = "; ".join(f"{task.name}: {', '.join(task.scored)}" for task in tasks if task.scored)
        raise ValueError(f"nothing to compare: no two cores ran the same task ({have})")


def warnings(tasks: Sequence[Task]) -> list[str]:
    """Returns what a reader must know before believing the numbers, one sentence or two each."""
    runs = [run for task in tasks for members in task.runs.values() for run in members]
    found = [line for task in tasks for line in _of_task(task)]
    found += [line for run in runs for line in _of_run(run)]
    return [*found, *_of_origins(runs), *_of_speeds(tasks)]


def _of_task(task: Task) -> Iterator[str]:
    few = [f"{core} {len(runs)}" for core, runs in task.scored.items() if len(runs) < MIN_RUNS]
    if few:
        yield (
            f"{task.name}: fewer than {MIN_RUNS} seeds ({', '.join(few)}). No interval is drawn "
            "for these, and their order may be chance."
        )
    done = {c: [r.score.done for r in rs if r.score] for c, rs in task.scored.items()}
    every = [number for numbers in done.values() for number in numbers]
    if every and max(every) > BUDGET_TOLERANCE * min(every):
        budgets = ", ".join(f"{core} {_millions(numbers)}" for core, numbers in done.items())
        yield f"{task.name}: different budgets, in million {task.kind.unit}: {budgets}."
    if task.scored and task.scale is None:
        yield f"{task.name}: no floor and ceiling are known; it is left out of the aggregates."
    used = [used for runs in task.runs.values() for run in runs for used in arithmetic(run)]
    for setting in ("device", *ARITHMETIC):
        values = sorted({str(of[setting])[:100] for of in used if of.get(setting)})
        if len(values) > 1:
            yield f"{task.name}: runs differ in their {setting}: {', '.join(values)}."


def _of_run(run: RunRecord) -> Iterator[str]:
    if run.status == "running":
        yield f"{run.name}: still being written, or killed; what is there so far counts."
    elif run.status in ("stopped", "failed"):
        yield f"{run.name}: the run has {run.status} before its end."
    roles = run.kind.roles
    if resized := [name for name in changed_settings(run) if roles.get(name) == "resumable"]:
        yield f"{run.name}: it was resumed with other settings than before: {', '.join(resized)}."
    if run.metrics.is_cut:
        yield f"{run.name}: the last line of metrics.jsonl is cut short; the whole lines count."
    if not run.metrics.end:
        yield f"{run.name}: no metrics; it has no learning curve and no speed."
    if run.score is None:
        yield (
            f"{run.name}: no score, because it has no evaluation {run.kind.words.usual(run.task)}."
        )
    elif run.metrics.end.get("updates", 0) > run.score.updates:
        yield (
            f"{run.name}: its newest evaluation is of update {run.score.updates:,}, training went "
            f"on to {run.metrics.end['updates']:,.0f}."
        )


def _of_origins(runs: Sequence[RunRecord]) -> Iterator[str]:
    """Yields what differs between the origins of the runs."""
    unknown = [run for run in runs if "source_hash" not in run.origin]
    if unknown:
        yield f"{len(unknown)} runs have no provenance: their code and machine are unknown."
    versions = Counter(code for run in runs for code in source_hashes(run))
    if len(versions) > 1:
        counts = ", ".join(f"{name} ({count} runs)" for name, count in versions.most_common())
        yield f"Made by {len(versions)} versions of the code (source hash): {counts}."
    dirty = sum(any(of.get("dirty") is True for of in sessions(run)) for run in runs)
    if dirty:
        yield f"{dirty} runs were made from a work tree with uncommitted changes."
    known = {name for run in runs if run not in unknown for name in machines(run)}
    if len(known) > 1:
        yield f"Made on {len(known)} kinds of machine: speeds and wall times do not compare."


def _of_speeds(tasks: Sequence[Task]) -> Iterator[str]:
    """Yields which cores have seeds whose speeds differ for reasons other than the core."""
    uneven = []
    for task in tasks:
        for core, runs in task.runs.items():
            speeds = [speed for run in runs if (speed := run.units_per_second)]
            if speeds and max(speeds) > SPEED_TOLERANCE * min(speeds):
                uneven.append(f"{core} on {task.name}")
    if uneven:
        yield (
            f"{tasks[0].kind.unit.capitalize()}/s differ by more than {SPEED_TOLERANCE:g} times "
            f"between the seeds of {', '.join(uneven)} (other work beside them, another machine, "
            "other threads): their speeds and wall times mislead."
        )


def _millions(done: Sequence[int]) -> str:
    low, high = min(done) / 1e6, max(done) / 1e6
    return f"{low:.2f}" if high <= BUDGET_TOLERANCE * low else f"{low:.2f} to {high:.2f}"
