"""The tables of a report, as text."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import mean, median

from comparison.grouping import Task, differing
from comparison.numbers import Comparison
from comparison.origins import arithmetic_names, commits, machines, source_hashes
from comparison.run_record import RunRecord
from comparison.statistics import AGGREGATES, Estimate, mean_of_runs
from envs import family_of

NONE = "-"
SHARES = {  # of training's time, and how the report calls them
    "share/env": "env",
    "share/inference": "inference",
    "share/learner": "learner",
    "share/core": "in the core",
    "share/acting_core": "in core and heads, acting",  # older runs know no more of the core
}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Rows of text under a header.

    Args:
        header: one name per column.
        rows: one text per column.
        num_labels: leading columns that name the row; the others hold numbers.
    """

    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    num_labels: int = 1


def number(value: float | None) -> str:
    """Returns a number with as many digits as a reader can use."""
    if value is None:
        return NONE
    return f"{value:.3f}" if abs(value) < 10 else f"{value:,.1f}"


def interval(estimate: Estimate) -> str:
    """Returns a value with its interval, where there is one."""
    if estimate.interval is None:
        return number(estimate.value)
    low, high = estimate.interval
    return f"{number(estimate.value)} ({number(low)} to {number(high)})"


def probability(comparison: Comparison, a: str, b: str) -> Estimate | None:
    """Returns the chance that a run of a scores above one of b, if it was computed."""
    if (a, b) in comparison.improvement:
        return comparison.improvement[a, b]
    if (b, a) not in comparison.improvement:
        return None
    value, bounds = comparison.improvement[b, a]
    return Estimate(1 - value, (1 - bounds[1], 1 - bounds[0]) if bounds else None)


def returns(comparison: Comparison) -> Table:
    """Mean return of every core on every task, beside the ends of its scale."""
    published = {task.game: family_of(task.game).published(task.game) for task in comparison.tasks}
    others = list(dict.fromkeys(label for scores in published.values() for label in scores))
    rows = []
    for task in comparison.tasks:
        ends = task.scale or (None, None)
        rows.append(
            [
                task.name,
                *(number(end) for end in ends),
                *(_return_cell(task, core) for core in comparison.cores),
                *(number(published[task.game].get(label)) for label in others),
            ]
        )
    grid: list[Sequence[str]] = [["", "floor", "ceiling", *comparison.cores, *others]]
    grid += rows
    if len(rows) < len(comparison.cores):
        grid = list(zip(*grid, strict=True))  # the longer side goes down the page
    return Table(header=grid[0], rows=grid[1:])


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
    """Every pair of cores."""
    if not comparison.improvement:
        return None
    rows = [[a, b, interval(estimate)] for (a, b), estimate in comparison.improvement.items()]
    return Table(header=["a run of", "scores above one of", "probability"], rows=rows, num_labels=2)


def other_evaluations(comparison: Comparison) -> Table | None:
    """Mean return under other settings than those of the score, beside the same runs' scores."""
    rows = []
    for task in comparison.tasks:
        for core, runs in task.runs.items():
            for kind in dict.fromkeys(e.variation for run in runs for e in run.others):
                pairs = [(run, e) for run in runs for e in run.others if e.variation == kind]
                seeds = ", ".join(str(run.config.seed) for run, _ in pairs)
                varied = mean(e.mean_return for _, e in pairs)
                usual = mean(run.score.mean_return for run, _ in pairs if run.score)
                rows.append([task.name, core, kind, seeds, number(varied), number(usual)])
    header = ["task", "core", "evaluated with", "seeds", "mean return", "as for the score"]
    return Table(header=header, rows=rows, num_labels=4) if rows else None


def speed(comparison: Comparison) -> Table:
    """Speed of training, shares of its time as far as they are known, and sizes."""
    known = {tag for run in comparison.runs for tag in run.metrics.end}
    shares = {tag: name for tag, name in SHARES.items() if tag in known}
    rows = [
        [
            task.name,
            core,
            _median_and_range(speed for run in runs if (speed := run.frames_per_second)),
            *(_share(run.metrics.end.get(tag) for run in runs) for tag in shares),
            _median(_peak_megabytes(run) for run in runs),
            *(_sizes(runs, name) for name in ("parameters", "core_parameters", "state_bytes")),
        ]
        for task in comparison.tasks
        for core, runs in task.runs.items()
    ]
    sizes = ["parameters", "of the core", "state, bytes"]
    header = ["task", "core", "frames/s", *shares.values(), "peak memory, MB", *sizes]
    return Table(header=header, rows=rows, num_labels=2)


def origins(comparison: Comparison) -> Table:
    """Seeds, frames, code, machine and arithmetic of every core on every task."""
    rows = [
        [
            task.name,
            core,
            ", ".join(str(run.config.seed) for run in runs),
            _range([run.score.frames / 1e6 for run in runs if run.score], "{:.2f}"),
            *(
                _distinct(name for run in runs for name in names(run) or [NONE])
                for names in (commits, source_hashes, machines, arithmetic_names)
            ),
        ]
        for task in comparison.tasks
        for core, runs in task.runs.items()
    ]
    origin = ["commit", "source hash", "machine", "arithmetic"]
    header = ["task", "core", "seeds", "million frames", *origin]
    return Table(header=header, rows=rows, num_labels=len(header))


def settings_that_differ(comparison: Comparison) -> Table | None:
    """Settings, the core's name aside, that differ between cores of a task that use them."""
    rows = []
    for task in comparison.tasks:
        first = [runs[0] for runs in task.runs.values()]
        for name, values in differing(first).items():
            pairs = [(core, v) for core, v in zip(task.runs, values, strict=True) if v is not None]
            if name != "core.kind" and len({v for _, v in pairs}) > 1:
                rows.append([task.name, name, ", ".join(f"{core}: {v}" for core, v in pairs)])
    header = ["task", "setting", "values"]
    return Table(header=header, rows=rows, num_labels=3) if rows else None


def runs(comparison: Comparison) -> Table:
    """Every run."""
    rows = [
        [
            run.name,
            core,
            str(run.config.seed),
            run.status or "published",
            number(run.score.mean_return if run.score else None),
            f"{run.score.updates:,}" if run.score else NONE,
        ]
        for task in comparison.tasks
        for core, members in task.runs.items()
        for run in members
    ]
    header = ["run", "core", "seed", "status", "mean return", "at update"]
    return Table(header=header, rows=rows, num_labels=4)


def _return_cell(task: Task, core: str) -> str:
    values = task.returns(core)
    return f"{interval(mean_of_runs(values))}, n = {len(values)}" if len(values) else NONE


def _peak_megabytes(run: RunRecord) -> float | None:
    peak = run.metrics.end.get("memory/peak_bytes")
    return peak / 1e6 if peak is not None else None


def _median_and_range(values: Iterable[float]) -> str:
    known = list(values)
    if not known:
        return NONE
    spread = f" ({min(known):,.0f} to {max(known):,.0f})" if len(known) > 1 else ""
    return f"{median(known):,.0f}{spread}"


def _median(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):,.0f}" if known else NONE


def _share(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{median(known):.0%}" if known else NONE


def _sizes(runs: Sequence[RunRecord], name: str) -> str:
    sizes = [run.score.size[name] for run in runs if run.score and name in run.score.size]
    return _range(sizes, "{:,}")


def _range(values: Sequence[float], form: str) -> str:
    if not values:
        return NONE
    low, high = form.format(min(values)), form.format(max(values))
    return low if low == high else f"{low} to {high}"


def _distinct(texts: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(texts))
