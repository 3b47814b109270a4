"""The README's table of success on the memory tasks."""

import statistics
from collections import Counter
from functools import cache

from comparison.evaluation_record import Evaluation
from comparison.grouping import core_name
from comparison.run_record import RunRecord
from comparison.run_table import read_run_table
from models.cores import CORES
from tools.pages.files import ROOT, table

RESULTS = "results/memory"
TASKS = {
    "tmaze": ("which way the cue pointed, 20 steps ago", "0.5"),
    "key_value": ("the value bound to a key: four of eight values", "0.125"),
    "parity": ("the parity of all bits so far: 20, or as many as named", "0.5"),
    "control": ("the value in view", "0.125"),
    "repeat_previous": ("the value of four steps ago", "0.125"),
    "minigrid_memory": ("the way to the object that lay at the start", "0.5 at most"),
}
"""What is asked, and the score of guessing."""

COLUMNS = (
    ("tmaze", ""),
    ("key_value", ""),
    ("parity", ""),
    ("parity", "length=40"),
    ("parity", "length=100"),
    ("control", ""),
    ("repeat_previous", ""),
    ("minigrid_memory", ""),
)
"""Task, and how its evaluation differs from that of the score."""


def memory_block() -> str:
    """Returns the section."""
    names = [name for core in CORES for name in (core, f"{core}-bptt1")]
    rows = [[f"`{name}`", *(_cell(*column, name) for column in COLUMNS)] for name in names]
    return "\n\n".join(
        [
            "The share of right answers over 500 episodes of the sampled policy; on "
            "`minigrid_memory` the return, 0.98 for turning round, looking and going the right "
            "way. The mean over the seeds, and where they differ the worst and the best of them:",
            table(
                ["core", *(_label(*column) for column in COLUMNS)],
                [row for row in rows if any(row[1:])],
            ),
            "`-bptt1` sends no gradient through time, as the 2021 agents did. Settings were tuned "
            "on other seeds (what was seen of seeds 1 to 5 of `key_value` before the last change: "
            "docs/results.md), with the full gradient; they and the frames of a task are the same "
            "for all cores. Each run trained on one core of two, while another run used the other. "
            "The file of a task holds its runs, with their settings:",
            table(
                [
                    "task",
                    "what is asked",
                    "guessing",
                    "seeds",
                    "frames",
                    "seconds: median, longest",
                ],
                [_budget(task, *TASKS[task]) for task in TASKS],
            ),
        ]
    )


def _label(task: str, variation: str) -> str:
    return f"`{task}-{variation.replace('=', '')}`" if variation else f"`{task}`"


@cache
def _runs(task: str) -> list[RunRecord]:
    """Returns the published runs of a task."""
    return read_run_table(ROOT / RESULTS / f"{task}.json")


def _budget(task: str, asked: str, guessing: str) -> list[str]:
    """Returns what a task asks, and seeds, frames and training times of its runs."""
    seconds = [run.metrics.end["wall_seconds"] for run in _runs(task)]
    frames = max(run.score.frames for run in _runs(task) if run.score)
    counts = Counter(core_name(run.config) for run in _runs(task)).values()
    return [
        f"[`{task}`](/{RESULTS}/{task}.json)",
        asked,
        guessing,
        " to ".join(map(str, sorted({min(counts), max(counts)}))),
        f"{frames / 1e6:.2g} M",
        f"{statistics.median(seconds):.0f}, {max(seconds):.0f}",
    ]


def _cell(task: str, variation: str, name: str) -> str:
    """Returns the mean over the seeds of a core, and its worst and best where they differ."""
    runs = [run for run in _runs(task) if core_name(run.config) == name]
    means = [e.mean_return for run in runs for e in _evaluations(run) if e.variation == variation]
    if not means:
        return ""
    worst, best = f"{min(means):.2f}", f"{max(means):.2f}"
    spread = "" if worst == best else f" ({worst} to {best})"
    return f"{statistics.mean(means):.2f}{spread}"


def _evaluations(run: RunRecord) -> list[Evaluation]:
    return [e for e in (run.score, *run.others) if e is not None]
