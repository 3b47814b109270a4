"""The README's table of success on the memory tasks."""

import statistics
from collections import Counter
from pathlib import Path

from benchmarks.pages.files import CORES, ROOT, last_row, read_json, table

RUNS = ROOT / "results" / "memory"
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
    return "\n".join(
        [
            "The share of right answers over 500 episodes of the sampled policy: the mean over the "
            "seeds, and where they differ the worst and the best of them. Chance is 0.5 on `tmaze` "
            "(a cue kept for 20 steps), 0.125 on `key_value` (four of eight values bound to keys), "
            "about 0.5 on `parity` (of all bits so far: 20, in training and where no other length "
            "is named), 0.125 on `control` (the answer is in view) and on `repeat_previous` (the "
            "value of four steps ago). On `minigrid_memory` it is the return: 0.98 for turning "
            "round, looking and going the right way, 0.49 for going either way. `-bptt1` sends no "
            "gradient through time, as the 2021 agents "
            f"did. {_budgets()} Settings were tuned on other seeds (what was seen of seed 1 of "
            "`key_value` before the last change: docs/results.md); they and the frames of a task "
            "are the same for all cores: `configs/memory/`. Runs: `results/memory/`.",
            "",
            table(
                ["core", *(f"`{task}{kind}`" for task, kind in columns)],
                [row for row in rows if any(row[1:])],
            ),
        ]
    )


def _runs(task: str, name: str = "*") -> list[Path]:
    """Returns the published runs of a core, or of all cores, on a task."""
    return [file.parent for file in sorted((RUNS / task).glob(f"{name}/seed*/evaluation.json"))]


def _budgets() -> str:
    """Returns seeds, frames and training times of each task's runs."""
    parts = []
    for task in dict.fromkeys(task for task, _ in COLUMNS):
        runs = _runs(task)
        if runs:
            seconds = [last_row(run)["wall_seconds"] for run in runs]
            frames = max(read_json(run / "evaluation.json")["frames"] for run in runs)
            counts = Counter(run.parent.name for run in runs).values()
            seeds = " to ".join(map(str, sorted({min(counts), max(counts)})))
            parts.append(
                f"`{task}` {seeds} seeds, {frames / 1e6:.2g} M frames, "
                f"{statistics.median(seconds):.0f} s"
            )
    return f"Seeds, and training on one core, the other at work too, median: {'; '.join(parts)}."


def _cell(task: str, kind: str, name: str) -> str:
    """Returns the mean over the seeds of a core, and its worst and best where they differ."""
    files = [run / f"evaluation{kind}.json" for run in _runs(task, name)]
    means = [read_json(file)["mean_return"] for file in files]
    if not means:
        return ""
    worst, best = f"{min(means):.2f}", f"{max(means):.2f}"
    spread = "" if worst == best else f" ({worst} to {best})"
    return f"**{statistics.mean(means):.2f}**{spread}"
