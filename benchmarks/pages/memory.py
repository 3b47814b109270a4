"""The README's table of success on the memory tasks."""

import statistics
from pathlib import Path

from benchmarks.pages.files import CORES, ROOT, last_row, read_json, table

RUNS = ROOT / "results" / "memory"
TASKS = ("tmaze", "key_value", "parity", "control")


def memory_block() -> str:
    """Returns the section."""
    names = [name for core in CORES for name in (core, f"{core}-bptt1")]
    rows = [[f"`{name}`", *(_cell(task, name) for task in TASKS)] for name in names]
    return "\n".join(
        [
            "The share of right answers over 500 episodes of the sampled policy: the mean over "
            "seeds, and every seed. Chance is 0.5 on `tmaze` (a cue kept for 20 steps), 0.125 on "
            "`key_value` (four of eight values bound to keys), about 0.5 on `parity` (of all bits "
            "so far, 20 of them) and 0.125 on `control` (the answer is in view). `-bptt1` sends no "
            "gradient through time, as the 2021 agents did. "
            f"{_budgets()} Settings were tuned on other seeds; they and the frames of a task are "
            "the same for all cores: `configs/memory/`. Runs: `results/memory/`.",
            "",
            table(
                ["core", *(f"`{task}`" for task in TASKS)],
                [row for row in rows if any(row[1:])],
            ),
        ]
    )


def _runs(task: str, name: str = "*") -> list[Path]:
    """Returns the published runs of a core, or of all cores, on a task."""
    return [file.parent for file in sorted((RUNS / task).glob(f"{name}/seed*/evaluation.json"))]


def _budgets() -> str:
    """Returns frames and training times of each task's runs."""
    parts = []
    for task in TASKS:
        runs = _runs(task)
        if runs:
            seconds = [last_row(run)["wall_seconds"] for run in runs]
            frames = max(read_json(run / "evaluation.json")["frames"] for run in runs)
            parts.append(
                f"`{task}` {frames / 1e6:.1f} M frames, {statistics.median(seconds):.0f} s"
            )
    return f"Training, one core, median on a busy machine: {'; '.join(parts)}."


def _cell(task: str, name: str) -> str:
    """Returns the mean over the seeds of a core, and each seed's result."""
    means = [read_json(run / "evaluation.json")["mean_return"] for run in _runs(task, name)]
    if not means:
        return ""
    seeds = ", ".join(f"{mean:.2f}" for mean in means)
    return f"**{statistics.mean(means):.2f}** ({seeds})"
