"""The tables of what ran on a GPU: docs/gpu.md. What did not says so."""

from pathlib import Path
from typing import Any

import yaml

from agents.impala.shown import RETURN_TAG
from benchmarks.kernels import LARGE
from experiment.files import read_json
from experiment.provenance import ROOT
from tools.pages.files import last_row, link, reports, table
from tools.pages.gpu_first_run import first_run
from tools.pages.gpu_trials import kernel_stages, loop_threads, loop_trials
from tools.pages.pong import row_that_reached

Report = dict[str, Any]
NOT_YET = "not yet measured since they were tuned: `make gpu`"


def gpu_block() -> str:
    """Returns the newest results of every part, and those of the first run."""
    return "\n\n".join(
        [
            loop_part(),
            *loop_threads(),
            kernel_part(),
            *kernel_stages(),
            training_part(),
            *loop_trials(),
            *first_run(),
        ]
    )


def loop_part() -> str:
    """Returns the loop's speed beside that of the environments alone, by core."""
    found = reports("device_loop_*.json")
    if not found:
        return f"**The loop beside random play** (goal: 0.8 of it, every core): {NOT_YET}."
    newest = {
        (*_work(report), row["core"]): (name, report, row)
        for name, report in found
        for row in report["rows"]
    }
    rows = [
        [
            report["settings"]["encoder"]["kind"],
            _shape(report["settings"]["learner"]),
            str(report["settings"]["learner"]["num_passes"]),
            f"`{row['core']}`",
            f"{row['steps_per_second']:,.0f}",
            f"{row['share_of_random_play']:.2f}",
            report["hardware"]["gpu"],
            link(name, report),
        ]
        for name, report, row in newest.values()
    ]
    header = ["encoder", "environments x unroll", "passes", "core", "steps/s", "of random play"]
    header += ["GPU", "commit and file"]
    return "**The loop beside random play** (goal: 0.8 of it):\n\n" + table(header, rows)


def _work(report: Report) -> tuple[str, ...]:
    learner, encoder = report["settings"]["learner"], report["settings"]["encoder"]
    passes = str(learner["num_passes"])
    return (report["hardware"]["gpu"], encoder["kind"], _shape(learner), passes)


def _shape(learner: dict[str, Any]) -> str:
    """Returns how many environments play, and how many steps a rollout has."""
    return f"{learner['batch_size']} x {learner['unroll_length']}"


def kernel_part() -> str:
    """Returns the newest of each ratio and time that kernel benchmarks by replays found."""
    found = [
        named
        for named in reports("kernels_*.json")
        if named[1]["device"] == "cuda" and all("replayed" in row for row in named[1]["rows"])
    ]
    if not found:
        return (
            "**The kernels by graph replay** (goals: RDN 0.2 ms at T 50, B 32 and 0.5 ms at T 64, "
            f"B 256, forward and backward; LSTM 2.5 ms there): {NOT_YET}."
        )
    gpus = dict.fromkeys(report["hardware"]["gpu"] for _, report in found)
    of_gpus = [[(n, r) for n, r in found if r["hardware"]["gpu"] == gpu] for gpu in gpus]
    return "\n\n".join(map(_kernel_table, of_gpus))


def _kernel_table(of_gpu: list[tuple[str, Report]]) -> str:
    newest = {
        ratio["name"]: (ratio, link(name, report))
        for name, report in of_gpu
        for ratio in report["ratios"]
    }
    rows = [[r["name"], f"{r['ratio']:.2f}", r["goal"] or "", of] for r, of in newest.values()]
    header = ["ratio or time", "value", "goal", "commit and file"]
    said = f"**The kernels by graph replay** ({of_gpu[0][1]['hardware']['gpu']}):"
    beside = [beside for _, report in of_gpu if (beside := _beside_cudnn(report))]
    return "\n\n".join([said, table(header, rows), *beside[-1:]])


def _beside_cudnn(report: Report) -> str:
    """Returns the LSTM's time at a learner's shape beside that of PyTorch's own, if both ran."""
    ms = {
        row["backend"]: row["total_ms"]
        for row in report["rows"]
        if (row["op"], row["T"], row["B"]) == ("lstm", LARGE.T, LARGE.B)
    }
    if not {"triton", "nn.LSTM"} <= ms.keys():
        return ""
    shape = f"{LARGE.T} steps of {LARGE.B} environments"
    return (
        f"At {shape} `nn.LSTM` (cuDNN), which cannot reset, takes {ms['nn.LSTM']:.2f} ms, `lstm` "
        f"{ms['triton']:.2f}."
    )


def training_part() -> str:
    """Returns what the published runs of training reached, and when."""
    goals = "**Training** (goals: Pong to 18 in 90 seconds; Breakout in what is left)"
    runs = sorted(path.parent for path in (ROOT / "results" / "gpu").rglob("metrics.jsonl"))
    if not runs:
        return f"{goals}: {NOT_YET}."
    header = ["run", "commit", "GPU", "environments x unroll", "frames", "seconds"]
    header += ["return of the last 100 games", "evaluation", "seconds to 18"]
    return f"{goals}:\n\n{table(header, map(_training_row, runs))}"


def _training_row(run: Path) -> list[str]:
    last, learner = last_row(run), yaml.safe_load((run / "config.yaml").read_text())["learner"]
    made_by = read_json(run / "provenance.json")
    reached = row_that_reached(run)
    return [
        f"[{run.relative_to(ROOT / 'results' / 'gpu')}](/{run.relative_to(ROOT)})",
        made_by["commit"][:7],
        made_by["hardware"]["gpu"],
        _shape(learner),
        f"{last['frames'] / 1e6:.2f} M",
        f"{last['wall_seconds']:.0f}",
        f"{last[RETURN_TAG]:.1f}",
        f"{read_json(run / 'evaluation.json')['mean_return']:.1f}",
        f"{reached['wall_seconds']:.0f}" if reached else "not reached",
    ]
