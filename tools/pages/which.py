"""README's answer to "which memory?": a line for each need, from the published runs."""

import statistics
from collections.abc import Iterable

import numpy as np

from comparison.statistics import t_half_width
from models.cores import CORES
from tools.pages.files import read_json
from tools.pages.memory import runs_of_core
from tools.pages.pong import pong_runs

NEEDS = {
    "A bit kept over a corridor": "tmaze",
    "Values bound to keys": "key_value",
    "Counting by two": "parity",
    "Order": "repeat_previous",
    "A place seen once": "minigrid_memory",
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
        for core, folders in pong_runs().items()
        if core in CORES
    }


def ranked(scores: dict[str, list[float]], *, digits: int) -> str:
    """Returns cores and scores, the highest mean first; cores that read the same stand together."""
    named: dict[str, list[str]] = {}
    having = {core: values for core, values in scores.items() if values}
    for core in sorted(having, key=lambda core: -statistics.mean(having[core])):
        named.setdefault(_with_interval(having[core], digits), []).append(f"`{core}`")
    return "; ".join(f"{_joined(cores)} {score}" for score, cores in named.items())


def _with_interval(values: list[float], digits: int) -> str:
    """Returns the mean and half its 95 % t interval, which is left out where it rounds to 0."""
    half = float(t_half_width(np.array(values))) if len(values) > 1 else 0.0
    width = f" ± {half:.{digits}f}"
    centre = f"{statistics.mean(values):.{digits}f}"
    return centre if float(width[3:]) == 0 else centre + width


def _joined(cores: Iterable[str]) -> str:
    *first, last = cores
    return f"{', '.join(first)} and {last}" if first else last
