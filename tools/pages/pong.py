"""The table of agents trained on Pong, and what it comes to."""

import statistics
from pathlib import Path
from typing import Any

from agents.impala.shown import RETURN_TAG
from experiment.files import read_json
from experiment.metrics import read_metrics
from experiment.provenance import ROOT
from models.cores import CORES
from tools.pages.files import link, machine, reports, table

RUNS = ROOT / "results" / "pong"
ENOUGH, LEAST = 18, -21  # points
MEMORYLESS = "feedforward"
HEADER = ("core", "seed: mean ± standard error", f"frames to a mean of {ENOUGH} in training")


def pong_block() -> str:
    """Returns what the runs come to, the table, and how long one takes alone."""
    runs = runs_by_core(RUNS)
    return "\n\n".join([_summary(runs), pong_table(runs), _alone()])


def _alone() -> str:
    """Returns how long the last timed `make pong` took with nothing beside it."""
    name, report = reports("make_pong_*.json")[-1]
    total, first = (report[key] / 60 for key in ("seconds", "seconds_to_18"))
    return (
        f"`make pong` alone on {machine(report)}: {total:.1f} minutes in all, {first:.1f} to a "
        f"mean of {ENOUGH}, and in the end the weights of `{report['same_weights_as']}`, bit for "
        f"bit ({link(name, report)})."
    )


def pong_table(runs: dict[str, list[Path]]) -> str:
    """Returns a row for each core: its scores, and when each seed was at `ENOUGH`."""
    return table(HEADER, [_row(name, folders) for name, folders in runs.items()])


def runs_by_core(of: Path) -> dict[str, list[Path]]:
    """Returns the published runs of each core, in the order of the registry."""
    names = sorted((folder.name for folder in of.iterdir()), key=list(CORES).index)
    return {name: sorted((of / name).glob("seed*")) for name in names}


def _summary(runs: dict[str, list[Path]]) -> str:
    folders = [folder for name, of in runs.items() if name != MEMORYLESS for folder in of]
    scores = [read_json(folder / "evaluation.json")["mean_return"] for folder in folders]
    reached = [row["frames"] for row in map(row_that_reached, folders) if row is not None]
    origins = [read_json(folder / "provenance.json") for of in runs.values() for folder in of]
    cpus = sorted({origin["hardware"]["cpu"] for origin in origins})
    commits = sorted({origin["commit"][:7] for origin in origins})
    assert len({origin["source_hash"] for origin in origins}) == 1, "runs of several versions"
    return (
        f"Of {len(folders)} runs with a memory {sum(score >= ENOUGH for score in scores)} end at "
        f"{ENOUGH} points or more; the median is {statistics.median(scores):.1f}, the least "
        f"{min(scores):.1f}. A mean of {ENOUGH} over the last 100 games of training is reached by "
        f"{_after(reached)}. All are of one version of the code ({', '.join(commits)}), on two "
        f"cores of {', '.join(cpus)}."
    )


def _after(reached: list[int]) -> str:
    """Returns how many runs reached it, and after how many frames."""
    if not reached:
        return "none"
    median, latest = (
        f"{frames / 1e6:.1f} M" for frames in (statistics.median(reached), max(reached))
    )
    return f"{len(reached)} of them, after {median} frames in the median and {latest} at the latest"


def _row(name: str, folders: list[Path]) -> list[str]:
    firsts = [row_that_reached(folder) for folder in folders]
    return [
        f"`{name}`",
        means(folders),
        ", ".join("not yet" if row is None else f"{row['frames'] / 1e6:.1f} M" for row in firsts),
    ]


def means(folders: list[Path]) -> str:
    """Returns seed, mean return and its standard error of each run."""
    results = {folder.name: read_json(folder / "evaluation.json") for folder in folders}
    return ", ".join(
        f"{name.removeprefix('seed')}: {r['mean_return']:.1f} ± {r['standard_error']:.1f}"
        for name, r in results.items()
    )


def row_that_reached(run: Path) -> dict[str, Any] | None:
    """Returns the first row of metrics where the last 100 training games average `ENOUGH`."""
    for row in read_metrics(run / "metrics.jsonl"):
        if row.get(RETURN_TAG, LEAST) >= ENOUGH:
            return row
    return None
