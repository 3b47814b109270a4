"""The README's table of success on the memory tasks."""

from pathlib import Path

from benchmarks.pages.files import CORES, ROOT, last_row, read_json, table

TASKS = ("tmaze", "key_value")


def memory_block() -> str:
    """Returns the section."""
    names = [name for core in CORES for name in (core, f"{core}-bptt1")]
    rows = [[f"`{name}`", *(_cell(task, name) for task in TASKS)] for name in names]
    return "\n".join(
        [
            "Mean return (the share of right answers) over 500 episodes of the sampled policy, "
            "with its standard error, the frames and the minutes of training on one core (shared "
            "with other work, so the minutes are an upper bound). Chance is 0.5 on `tmaze` (a cue "
            "kept for 20 steps) and 0.125 on `key_value` (four of eight values bound to keys). "
            "**One seed each, the seed that the settings were tuned on**, and runs of different "
            "lengths stand side by side: enough to see that the loop learns, not to rank cores. "
            "`-bptt1` sends no gradient through time, as the 2021 agents did. "
            "Settings: `configs/memory/`; runs: `results/memory/`.",
            "",
            table(
                ["core", *(f"`{task}`" for task in TASKS)],
                [row for row in rows if any(row[1:])],
            ),
        ]
    )


def _cell(task: str, name: str) -> str:
    """Returns mean, standard error, frames and minutes of one published run."""
    run: Path = ROOT / "results" / "memory" / task / name / "seed1"
    if not (run / "evaluation.json").exists():
        return ""
    result = read_json(run / "evaluation.json")
    minutes = last_row(run)["wall_seconds"] / 60
    return (
        f"{result['mean_return']:.3f} ± {result['standard_error']:.3f} "
        f"({result['frames'] / 1e6:.2f} M, {minutes:.1f} min)"
    )
