"""The README's table of success on the memory tasks."""

import statistics
from collections import Counter
from functools import cache

from agents.impala.config import TrainConfig
from comparison.evaluation_record import Evaluation
from comparison.grouping import core_name
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from envs import family_of
from experiment.provenance import ROOT
from models.cores import CORES
from tools.pages.files import table

RESULTS = "results/memory"


def memory_block() -> str:
    """Returns the section."""
    names = [name for core in CORES for name in (core, f"{core}-bptt1")]
    columns = [(task, variation) for task in _tasks() for variation in _variations(task)]
    rows = [[f"`{name}`", *(_cell(*column, name) for column in columns)] for name in names]
    budget = ["task", "what is asked", "guessing", "seeds", "frames", "seconds: median, longest"]
    return "\n\n".join(
        [
            "The mean return over 500 episodes of the sampled policy: the share of right answers, "
            "or a little less where the steps to one cost something. The mean over the seeds, and "
            "where they differ the worst and the best of them:",
            table(
                ["core", *(_label(*column) for column in columns)],
                [row for row in rows if any(row[1:])],
            ),
            "`-bptt1` sends no gradient through time, as the fast-weight agents of 2021 did. "
            "Settings were tuned on other seeds (what was seen of seeds 1 to 5 of `key_value` "
            "before the last change: docs/results.md), with the full gradient; they and the "
            "frames of a task are the same for all cores, but for the LSTM of `minigrid_memory`, "
            "which has 128 features where the others have 64. Each run trained on one core of "
            "two, while another run used the other. The file of a task holds its runs, with their "
            "settings:",
            table(budget, [_budget(task) for task in _tasks()]),
        ]
    )


def _tasks() -> list[str]:
    """Returns the published tasks."""
    return sorted(path.stem for path in (ROOT / RESULTS).glob("*.json"))


def _variations(task: str) -> list[str]:
    """Returns how evaluations of a task differ from that of the score, "" for not at all."""
    found = {e.variation for run in _runs(task) for e in _evaluations(run)}
    return sorted(found, key=lambda name: (len(name), name))


def _label(task: str, variation: str) -> str:
    return f"`{task}-{variation.replace('=', '')}`" if variation else f"`{task}`"


@cache
def _runs(task: str) -> list[RunRecord]:
    """Returns the published runs of a task."""
    return read_task_file(ROOT / RESULTS / f"{task}.json")


def runs_of_core(task: str, name: str) -> list[RunRecord]:
    """Returns the published runs of a core, named as the report names it."""
    return [run for run in _runs(task) if core_name(run.config) == name]


def _budget(task: str) -> list[str]:
    """Returns what a task asks, the score of guessing, and seeds, frames and times of its runs."""
    runs = _runs(task)
    config = runs[0].config
    assert isinstance(config, TrainConfig)
    game, env = config.game, config.env
    family = family_of(game)
    scale = family.scores(game, env)
    seconds = [run.metrics.end["wall_seconds"] for run in runs]
    frames = max(run.score.done for run in runs if run.score)
    counts = Counter(core_name(run.config) for run in runs).values()
    return [
        f"[`{task}`](/{RESULTS}/{task}.json)",
        family.question(game, env),
        f"{scale.floor:.3g}" if scale else "",
        " to ".join(map(str, sorted({min(counts), max(counts)}))),
        f"{frames / 1e6:.2g} M",
        f"{statistics.median(seconds):.0f}, {max(seconds):.0f}",
    ]


def _cell(task: str, variation: str, name: str) -> str:
    """Returns the mean over the seeds of a core, and its worst and best where they differ."""
    runs = runs_of_core(task, name)
    means = [e.value for run in runs for e in _evaluations(run) if e.variation == variation]
    if not means:
        return ""
    worst, best = f"{min(means):.2f}", f"{max(means):.2f}"
    spread = "" if worst == best else f" ({worst} to {best})"
    return f"{statistics.mean(means):.2f}{spread}"


def _evaluations(run: RunRecord) -> list[Evaluation]:
    return [e for e in (run.score, *run.others) if e is not None]
