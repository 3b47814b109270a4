"""The README's table of success on the memory tasks."""

import statistics
from collections import Counter
from pathlib import Path

from models.cores import CORES
from tools.pages.files import ROOT, last_row, read_json, table

RUNS = ROOT / "results" / "memory"
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
    ("parity", "-length40"),
    ("parity", "-length100"),
    ("control", ""),
    ("repeat_previous", ""),
    ("minigrid_memory", ""),
)
"""Task and kind of evaluation."""


def memory_block() -> str:
    """Returns the section."""
    names = [name for core in CORES for name in (core, f"{core}-bptt1")]
    columns = [(task, kind) for task, kind in COLUMNS if _runs(task)]
    rows = [[f"`{name}`", *(_cell(*column, name) for column in columns)] for name in names]
    return "\n\n".join(
        [
            "The share of right answers over 500 episodes of the sampled policy; on "
            "`minigrid_memory` the return, 0.98 for turning round, looking and going the right "
            "way. The mean over the seeds, and where they differ the worst and the best of them:",
            table(
                ["core", *(f"`{task}{kind}`" for task, kind in columns)],
                [row for row in rows if any(row[1:])],
            ),
            "`-bptt1` sends no gradient through time, as the 2021 agents did. Settings were tuned "
            "on other seeds (what was seen of seeds 1 to 5 of `key_value` before the last change: "
            "docs/results.md), with the full gradient; they and the frames of a task are the same "
            "for all cores: `configs/memory/`. Training took a core, the other at work too. Runs: "
            "`results/memory/`.",
            table(
                [
                    "task",
                    "what is asked",
                    "guessing",
                    "seeds",
                    "frames",
                    "seconds: median, longest",
                ],
                [_budget(task, *TASKS[task]) for task in TASKS if _runs(task)],
            ),
        ]
    )


def _runs(task: str, name: str = "*") -> list[Path]:
    """Returns the published runs of a core, or of all cores, on a task."""
    return [file.parent for file in sorted((RUNS / task).glob(f"{name}/seed*/evaluation.json"))]


def _budget(task: str, asked: str, guessing: str) -> list[str]:
    """Returns what a task asks, and seeds, frames and training times of its runs."""
    runs = _runs(task)
    seconds = [last_row(run)["wall_seconds"] for run in runs]
    frames = max(read_json(run / "evaluation.json")["frames"] for run in runs)
    counts = Counter(run.parent.name for run in runs).values()
    return [
        f"`{task}`",
        asked,
        guessing,
        " to ".join(map(str, sorted({min(counts), max(counts)}))),
        f"{frames / 1e6:.2g} M",
        f"{statistics.median(seconds):.0f}, {max(seconds):.0f}",
    ]


def _cell(task: str, kind: str, name: str) -> str:
    """Returns the mean over the seeds of a core, and its worst and best where they differ."""
    files = [run / f"evaluation{kind}.json" for run in _runs(task, name)]
    means = [read_json(file)["mean_return"] for file in files]
    if not means:
        return ""
    worst, best = f"{min(means):.2f}", f"{max(means):.2f}"
    spread = "" if worst == best else f" ({worst} to {best})"
    return f"{statistics.mean(means):.2f}{spread}"
