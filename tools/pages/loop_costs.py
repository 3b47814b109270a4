"""The tables of docs/throughput.md on what a step costs: by core, by environments, over a run."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.loop_costs import cells, header
from experiment.metrics import read_metrics
from tools.pages.files import link, machine, reports, table
from tools.pages.pong import RUNS, runs_by_core

THIRDS = 3


def costs_block() -> str:
    """Returns the newest run of `benchmarks.loop_costs` on each machine."""
    return "\n\n".join(
        part
        for of, (name, report) in newest_costs().items()
        for part in (f"{of}, {link(name, report)}:", *_tables(report))
    )


def newest_costs() -> dict[str, tuple[str, dict[str, Any]]]:
    """Returns name and content of the newest file of each machine."""
    return {machine(named[1]): named for named in reports("loop_costs_*-cores_*.json")}


def _tables(report: dict[str, Any]) -> list[str]:
    groups = report["groups"]
    tables = [table(header(group), map(cells, rows)) for group, rows in groups.items()]
    return [*tables, _line_through(groups["environments"])]


def _line_through(rows: list[dict[str, Any]]) -> str:
    """Returns the cost of a step of all environments as a line in their number, and its misfit."""
    numbers = np.array([int(row["variant"]) for row in rows])
    milliseconds = numbers * [row["microseconds_per_step"] for row in rows] / 1e3
    # Least squares of relative errors: 8 environments count as much as 128.
    slope, start = np.polyfit(numbers, milliseconds, 1, w=1 / milliseconds)
    misfit = np.abs((start + slope * numbers) / milliseconds - 1).max()
    return (
        f"A step of n environments takes about {start:.1f} ms + n x {slope:.2f} ms; every measured "
        f"time lies within {misfit:.0%} of that."
    )


def run_length_block() -> str:
    """Returns speed and memory over the published Pong runs."""
    runs = [folder for folders in runs_by_core(RUNS).values() for folder in folders]
    columns = ["run", "frames/s in the first third", "second", "last"]
    columns += ["peak memory after a third, MiB", "at the end"]
    return table(columns, map(_run_cells, runs))


def _run_cells(run: Path) -> list[str]:
    rows = read_metrics(run / "metrics.jsonl")
    thirds = [rows[len(rows) * k // THIRDS : len(rows) * (k + 1) // THIRDS] for k in range(THIRDS)]
    return [
        f"`{run.parent.name}`, {run.name.removeprefix('seed')}",
        *(f"{statistics.median(_speeds(third)):,.0f}" for third in thirds),
        *(f"{third[-1]['memory/peak_bytes'] / 2**20:,.0f}" for third in (thirds[0], thirds[-1])),
    ]


def _speeds(rows: list[dict[str, Any]]) -> list[float]:
    return [row["speed/frames_per_second"] for row in rows]
