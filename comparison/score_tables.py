"""The tables of scores: the heat map that answers, every mean with its interval, pairs of cores."""

from collections.abc import Sequence
from statistics import mean

from comparison.answer import Verdict, verdicts
from comparison.grouping import Task
from comparison.numbers import Comparison
from comparison.report_table import NONE, Cell, Table, bounds, interval, number
from comparison.run_record import RunRecord
from comparison.statistics import AGGREGATES, Estimate, mean_of_runs

UNCLEAR = "≈"


def heat_map(tasks: Sequence[Task], cores: Sequence[str]) -> Table:
    """Mean of every core on every task, and what each task says."""
    found = verdicts(tasks)
    rows: list[list[str | Cell]] = [
        [of.task.name, of.words, *(_heat_cell(of, core) for core in cores)] for of in found
    ]
    note = (
        f"{tasks[0].kind.words.mean} over the seeds; the stronger the colour, the nearer to the "
        f"ceiling of the task. Bold: the best of its task. {UNCLEAR}: cannot be told from it. "
        f"{NONE}: not run."
    )
    return Table(
        header=["task", "clearly best", *cores],
        rows=rows + _summary(found, cores),
        num_labels=2,
        note=note,
    )


def measured(comparison: Comparison) -> Table:
    """Mean of every core on every task, beside the ends of its scale and others' scores."""
    beside = _measures_beside(comparison)
    rows = [row for task in comparison.tasks for row in _rows_of_task(task, beside)]
    measured = [comparison.kind.words.measure, "95 % interval", "score", "seeds"]
    names = [name.replace("_", " ") for name in beside]
    return Table(header=["task", "core", *measured, *names], rows=rows, num_labels=2)


def by_memory(tasks: Sequence[Task], cores: Sequence[str]) -> Table | None:
    """Mean score of every core over the tasks that ask for one kind of memory."""
    kinds: dict[str, list[Verdict]] = {}
    for of in verdicts(tasks):
        memory = of.task.kind.memory(of.task.task)
        if memory and of.task.scale is not None:
            kinds.setdefault(memory, []).append(of)
    if max(map(len, kinds.values()), default=0) < 2:
        return None
    return Table(
        header=["memory", "tasks", *cores],
        rows=[
            [memory, ", ".join(of.task.name for of in found), *_mean_cells(found, cores)]
            for memory, found in kinds.items()
        ],
        num_labels=2,
    )


def aggregates(comparison: Comparison) -> Table | None:
    """Every statistic across tasks."""
    if not comparison.aggregates:
        return None
    rows = [
        [core, *(interval(of[name]) for name in AGGREGATES)]
        for core, of in comparison.aggregates.items()
    ]
    return Table(header=["core", *AGGREGATES], rows=rows)


def improvement(comparison: Comparison) -> Table | None:
    """The chance that a run of the core of a row scores above one of the core of a column."""
    if not comparison.improvement:
        return None
    pairs = dict(comparison.improvement)
    for (a, b), (value, limits) in comparison.improvement.items():
        pairs[b, a] = Estimate(1 - value, (1 - limits[1], 1 - limits[0]) if limits else None)
    cores = comparison.shared_cores
    rows: list[list[str | Cell]] = [
        [a, *(_pair_cell(pairs[a, b]) if a != b else Cell(NONE) for b in cores)] for a in cores
    ]
    return Table(header=["a run of", *(f"above {core}" for core in cores)], rows=rows)


def other_evaluations(comparison: Comparison) -> Table | None:
    """Means under other settings than those of the score, beside the same runs' scores."""
    rows = []
    for task in comparison.tasks:
        for core, runs in task.runs.items():
            for kind in dict.fromkeys(e.variation for run in runs for e in run.others):
                pairs = [(run, e) for run in runs for e in run.others if e.variation == kind]
                seeds = ", ".join(str(run.config.seed) for run, _ in pairs)
                varied = mean(e.value for _, e in pairs)
                usual = mean(run.score.value for run, _ in pairs if run.score)
                rows.append([task.name, core, kind, seeds, number(varied), number(usual)])
    header = [
        "task",
        "core",
        "evaluated with",
        "seeds",
        comparison.kind.words.measure,
        "as for the score",
    ]
    return Table(header=header, rows=rows, num_labels=4) if rows else None


def _summary(found: Sequence[Verdict], cores: Sequence[str]) -> list[list[str | Cell]]:
    """Returns the rows on all tasks together."""
    rows: list[list[str | Cell]] = []
    scaled = [of for of in found if of.task.scale is not None]
    able = [core for core in cores if all(core in of.scores for of in scaled)]
    if len(scaled) > 1 and len(able) > 1:
        name = f"mean score of the {len(scaled)} tasks"
        rows.append([name, "", *_mean_cells(scaled, cores)])
    held = [of for of in found if not of.is_alone]
    if len(held) > 1:
        rows.append(["clearly beaten on", "", *(_beaten(held, core) for core in cores)])
    return rows


def _mean_cells(found: Sequence[Verdict], cores: Sequence[str]) -> list[Cell]:
    """Returns the mean score over tasks, of the cores that ran all of them."""
    able = [core for core in cores if all(core in of.scores for of in found)]
    means = {core: mean(of.scores[core].value for of in found) for core in able}
    return [Cell(number(means.get(core)), _within(means.get(core))) for core in cores]


def _beaten(held: Sequence[Verdict], core: str) -> Cell:
    ran = [of for of in held if core in of.scores]
    return Cell(f"{sum(core in of.beaten for of in ran)} of {len(ran)}" if ran else NONE)


def _heat_cell(of: Verdict, core: str) -> Cell:
    if core not in of.scores:
        return Cell(NONE)
    is_best = core in of.best and not of.is_alone and not of.is_at_chance
    mark = f"{UNCLEAR} " if core in of.unclear else ""
    heat = None if of.task.scale is None else of.scores[core].value
    return Cell(mark + number(of.task.measured(core).mean()), _within(heat), is_best)


def _pair_cell(of: Estimate) -> Cell:
    return Cell(number(of.value), of.value, detail=bounds(of) if of.interval else "")


def _within(heat: float | None) -> float | None:
    return None if heat is None else min(max(heat, 0.0), 1.0)


def _measures_beside(comparison: Comparison) -> list[str]:
    """Returns what evaluations measure beside what makes a score."""
    return list(dict.fromkeys(name for task in comparison.tasks for name in task.measures[1:]))


def _rows_of_task(task: Task, beside: Sequence[str]) -> list[list[str]]:
    rows = []
    for core, runs in task.scored.items():
        of = mean_of_runs(task.measured(core))
        score = number(mean_of_runs(task.normalised(core)).value) if task.scale else NONE
        values = [number(of.value), bounds(of), score, str(len(runs))]
        rows.append([task.name, core, *values, *(_mean_measure(runs, name) for name in beside)])
    kind, name = task.kind, task.task
    others = dict(zip(kind.ends(name), task.scale, strict=True)) if task.scale else {}
    for whose, value in (others | dict(kind.published(name))).items():
        score = number(task.scale.normalise(value)) if task.scale else NONE
        rows.append(
            [task.name, f"({whose})", number(value), NONE, score, NONE, *[NONE] * len(beside)]
        )
    return rows


def _mean_measure(runs: Sequence[RunRecord], name: str) -> str:
    known = [run.score.measures[name] for run in runs if run.score and name in run.score.measures]
    return number(mean(known)) if known else NONE
