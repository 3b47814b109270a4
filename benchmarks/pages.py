"""Writes the results block of README.md from the files in `results/` and `benchmarks/results/`.

Run `python -m benchmarks.pages` after adding a result; `tests/test_docs.py` fails where the page
and the files disagree.
"""

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BEGIN, END = "<!-- results -->\n", "<!-- end of results -->"
CORES = ("lstm", "delta_net", "delta_rnn", "rdn", "linear_transformer", "feedforward")
TASKS = ("tmaze", "key_value")


def readme() -> str:
    """Returns README.md with the results block that the result files give."""
    text = (ROOT / "README.md").read_text()
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    return f"{before}{BEGIN}\n{memory_section()}\n{kernel_section()}\n{END}{after}"


def memory_section() -> str:
    """Returns the table of success on the memory tasks."""
    rows = [memory_row(name) for core in CORES for name in (core, f"{core}-bptt1")]
    return "\n".join(
        [
            "## Which memory remembers?",
            "",
            "Mean return (the share of right answers) over 500 episodes of the sampled policy, "
            "with its standard error, the frames and the minutes of training on one core (shared "
            "with other work, so the minutes are an upper bound). Chance is 0.5 on `tmaze` (a cue "
            "kept for 20 steps) and 0.125 on `key_value` (four of eight values bound to keys). "
            "**One seed each, the seed that the settings were tuned on**, and runs of different "
            "lengths stand side by side: enough to see that the loop learns, not to rank cores. "
            "`-bptt1` sends no gradient through time, as the 2021 agents did. "
            "Settings: `configs/memory/`; runs: `results/memory/`.",
            "",
            "| core | " + " | ".join(f"`{task}`" for task in TASKS) + " |",
            "|---|" + "---|" * len(TASKS),
            *(row for row in rows if row),
            "",
        ]
    )


def memory_row(name: str) -> str | None:
    """Returns the row of a core, or None where it has no run."""
    cells = [memory_cell(ROOT / "results" / "memory" / task / name / "seed1") for task in TASKS]
    return f"| `{name}` | {' | '.join(cells)} |" if any(c != "" for c in cells) else None


def memory_cell(run: Path) -> str:
    """Returns mean, standard error, frames and minutes of one published run."""
    if not (run / "evaluation.json").exists():
        return ""
    result = read_json(run / "evaluation.json")
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])
    minutes = last["wall_seconds"] / 60
    return (
        f"{result['mean_return']:.3f} ± {result['standard_error']:.3f} "
        f"({result['frames'] / 1e6:.2f} M, {minutes:.1f} min)"
    )


def kernel_section() -> str:
    """Returns the newest of each ratio that the kernel benchmark found on a CPU."""
    files = (ROOT / "benchmarks" / "results").glob("kernels_*-cores_*.json")
    reports = sorted((read_json(path)["date"], path.name, read_json(path)) for path in files)
    newest = {
        ratio["name"]: (ratio, report["commit"][:7], name)
        for _, name, report in reports
        for ratio in report["ratios"]
        if ratio["ratio"] is not None and "feedforward" not in ratio["name"]
    }
    rows = [
        f"| {r['name']} | {r['ratio']:.2f} | {r['goal'] or ''} "
        f"| [{commit}](benchmarks/results/{file}) |"
        for r, commit, file in newest.values()
    ]
    hardware = reports[-1][2]["hardware"]
    return "\n".join(
        [
            "## How fast are the kernels?",
            "",
            "Forward plus backward at T = 50, B = 32, H = 4, D = 32 (LSTM: 256 units), float32, "
            "with resets; the median time of the backend named first over that of the second, "
            "side by side in one run of `bench kernels` (`compiled`: the loop under "
            "`torch.compile`). `acting` is a whole core at T = 1, B = 32 over one step of "
            f"`nn.LSTM(257, 256)`. {hardware['cores']} cores of {hardware['cpu']} "
            f"({hardware['instructions']}).",
            "",
            "| ratio | value | goal | commit and file |",
            "|---|---|---|---|",
            *rows,
            "",
            "The Triton kernels are checked in Triton's interpreter and compiled ahead of time for "
            "sm_80 and sm_90; they have not run on a GPU yet.",
            "",
        ]
    )


def read_json(path: Path) -> Any:
    """Returns the content of a JSON file."""
    return json.loads(path.read_text())


if __name__ == "__main__":
    (ROOT / "README.md").write_text(readme())
