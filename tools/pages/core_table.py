"""The table of cores on tasks that others defined, from results/table, for docs/table.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import yaml

from agents.impala.config import TrainConfig
from comparison.grouping import core_name, group
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from envs import family_of
from experiment.provenance import ROOT
from tools.pages.files import table
from tools.table import TABLE

RESULTS = Path("results/table")
SIZES = {"core_parameters": "parameters of the core", "state_bytes": "state, bytes"}


def core_table_block(root: Path = ROOT) -> str:
    """Returns a row for each task and each size it was played at, and a column for each core.

    Args:
        root: folder that holds `RESULTS`.
    """
    plan = yaml.safe_load(TABLE.read_text())
    cores = plan["cores"].split(",")
    files = {task: root / RESULTS / f"{task}.json" for task in plan["tasks"]}
    runs = {task: _runs(file) for task, file in files.items() if file.exists()}
    rows = [row for task, of_task in runs.items() for row in _rows(task, of_task, cores)]
    everything = [run for of_task in runs.values() for run in of_task]
    rows += [[label, "", "", *_sizes(everything, cores, name)] for name, label in SIZES.items()]
    header = ["task", "what is asked", "guessing", *(f"`{core}`" for core in cores)]
    missing = ", ".join(f"`{task}`" for task in files if task not in runs)
    return table(header, rows) + (f"\n\nNot run yet: {missing}." if missing else "")


def _runs(file: Path) -> list[RunRecord]:
    """Returns the runs of a task's file.

    Raises:
        ValueError: those of a core differ in more than their seeds; a mean would hide it.
    """
    runs = read_task_file(file)
    for task in group(runs):
        if several := sorted(task.runs.keys() - {core_name(run.config) for run in runs}):
            raise ValueError(f"{file} has runs that are no seeds of one another: {several}")
    return runs


def _rows(task: str, runs: Sequence[RunRecord], cores: Sequence[str]) -> list[list[str]]:
    """Returns the row of the scores, then one for each other size."""
    config = runs[0].config
    assert isinstance(config, TrainConfig)
    family = family_of(config.game)
    scale = family.scores(config.game, config.env)
    guess = f"{scale.floor:.2g}" if scale else ""
    link, question = f"[`{task}`](/{RESULTS}/{task}.json)", family.question(config.game, config.env)
    others = sorted({e.variation for run in runs for e in run.others}, key=lambda x: (len(x), x))
    return [
        [link, question, guess, *_cells(runs, cores, "")],
        *([f"at {name}", "", guess, *_cells(runs, cores, name)] for name in others),
    ]


def _cells(runs: Sequence[RunRecord], cores: Sequence[str], variation: str) -> list[str]:
    """Returns the mean over each core's seeds; bold are the best and all that read the same."""
    means = [_mean(runs, core, variation) for core in cores]
    best = max((value for value in means if value is not None), default=None)
    texts = ["-" if value is None else f"{value:.2f}" for value in means]
    return [
        f"**{text}**" if value is not None and value == best else text
        for value, text in zip(means, texts, strict=True)
    ]


def _mean(runs: Sequence[RunRecord], core: str, variation: str) -> float | None:
    """Returns the mean to two digits, None where there is none."""
    own = [run for run in runs if core_name(run.config) == core]
    evaluations = [e for run in own for e in (run.score, *run.others) if e is not None]
    values = [e.value for e in evaluations if e.variation == variation]
    return round(mean(values), 2) if values else None


def _sizes(runs: Sequence[RunRecord], cores: Sequence[str], name: str) -> list[str]:
    """Returns a size of each core, its least and its most over the tasks."""
    scored = [(core_name(run.config), run.score) for run in runs if run.score]
    return [_span([score.size[name] for of, score in scored if of == core]) for core in cores]


def _span(values: Sequence[int]) -> str:
    if not values:
        return "-"
    least, most = f"{min(values):,}", f"{max(values):,}"
    return least if least == most else f"{least} to {most}"
