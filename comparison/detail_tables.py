"""The tables of what ran: speed and memory, code and machines, settings, every run."""

from collections.abc import Iterable, Sequence
from statistics import median

from comparison.grouping import differing
from comparison.numbers import Comparison
from comparison.origins import arithmetic_names, commits, machines, source_hashes
from comparison.report_table import NONE, Table, number
from comparison.run_record import RunRecord

SHARES = {  # of training's time, and how the report calls them
    "share/env": "env",
    "share/inference": "inference",
    "share/learner": "learner",
    "share/core": "in the core",
    "share/acting_core": "in core and heads, acting",  # older runs know no more of the core
}


def speed(comparison: Comparison) -> Table:
    """Speed of training, shares of its time as far as they are known, and sizes."""
    known = {tag for run in comparison.runs for tag in run.metrics.end}
    shares = {tag: name for tag, name in SHARES.items() if tag in known}
    rows = [
        [
            task.name,
            core,
            _median_and_range(speed for run in runs if (speed := run.units_per_second)),
            *(_share(run.metrics.end.get(tag) for run in runs) for tag in shares),
            _median(_peak_megabytes(run) for run in runs),
            *(_sizes(runs, name) for name in ("parameters", "core_parameters", "state_bytes")),
        ]
        for task in comparison.tasks
        for core, runs in task.runs.items()
    ]
    sizes = ["parameters", "of the core", "state, bytes"]
    header = [
        "task",
        "core",
        f"{comparison.kind.unit}/s",
        *shares.values(),
        "peak memory, MB",
        *sizes,
    ]
    return Table(header=header, rows=rows, num_labels=2)


def origins(comparison: Comparison) -> Table:
    """Seeds, length, code, machine and arithmetic of every core on every task."""
    rows = [
        [
            task.name,
            core,
            ", ".join(str(run.config.seed) for run in runs),
            _range([run.score.done / 1e6 for run in runs if run.score], "{:.2f}"),
            *(
                _distinct(name for run in runs for name in names(run) or [NONE])
                for names in (commits, source_hashes, machines, arithmetic_names)
            ),
        ]
        for task in comparison.tasks
        for core, runs in task.runs.items()
    ]
    origin = ["commit", "source hash", "machine", "arithmetic"]
    header = ["task", "core", "seeds", f"million {comparison.kind.unit}", *origin]
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
            number(run.score.value if run.score else None),
            f"{run.score.updates:,}" if run.score else NONE,
        ]
        for task in comparison.tasks
        for core, members in task.runs.items()
        for run in members
    ]
    header = ["run", "core", "seed", "status", comparison.kind.words.measure, "at update"]
    return Table(header=header, rows=rows, num_labels=4)


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
