"""README's answer to "which memory?": a line for each need, from the published runs."""

import statistics
from collections.abc import Iterable

import numpy as np

from comparison.statistics import mean_of_runs
from experiment.files import read_json
from models.cores import CORES
from tools.pages.memory import runs_of_core
from tools.pages.pong import RUNS, runs_by_core

NEEDS = {
    "A bit kept over a corridor": "tmaze",
    "Values bound to keys": "key_value",
    "Counting by two": "parity",
    "Order": "repeat_previous",
    "An object seen once": "minigrid_memory",
}
"""The published task that stands for a need."""


def which_block() -> str:
    """Returns the lines: of each task the mean over its seeds for every core, best first."""
    lines = [
        f"- **{need}** (`{task}`): {ranked(_task_scores(task), digits=2)}."
        for need, task in NEEDS.items()
    ]
    return "\n".join([*lines, f"- **Pong**: {ranked(_pong_scores(), digits=1)}."])


def _task_scores(task: str) -> dict[str, list[float]]:
    return {
        core: [run.score.value for run in runs_of_core(task, core) if run.score] for core in CORES
    }


def _pong_scores() -> dict[str, list[float]]:
    return {
        core: [read_json(folder / "evaluation.json")["mean_return"] for folder in folders]
        for core, folders in runs_by_core(RUNS).items()
    }


def ranked(scores: dict[str, list[float]], *, digits: int) -> str:
    """Returns cores and their means, the highest first; cores that read the same stand together.

    Args:
        scores: of each core those of its seeds; a core without any is left out.
        digits: behind the point.
    """
    named: dict[str, list[str]] = {}
    having = {core: values for core, values in scores.items() if values}
    for core in sorted(having, key=lambda core: -statistics.mean(having[core])):
        named.setdefault(_with_spread(having[core], digits), []).append(f"`{core}`")
    return "; ".join(f"{_joined(cores)} {score}" for score, cores in named.items())


def _with_spread(values: list[float], digits: int) -> str:
    """Returns the mean and half its interval; of few seeds the worst and the best."""
    mean, bounds = mean_of_runs(np.array(values))
    centre, worst, best = (f"{x:.{digits}f}" for x in (mean, min(values), max(values)))
    if bounds is None:
        return centre if worst == best else f"{centre} ({worst} to {best})"
    half = f"{bounds[1] - mean:.{digits}f}"
    return centre if float(half) == 0 else f"{centre} ± {half}"


def _joined(cores: Iterable[str]) -> str:
    *first, last = cores
    return f"{', '.join(first)} and {last}" if first else last
