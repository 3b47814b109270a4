"""Which cores learn which formal languages, and strings longer than they saw: docs/sequences.md."""

from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from comparison.grouping import core_rank
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from tools.pages.files import ROOT, table

RESULTS = ROOT / "results" / "sequences"


def formal_block() -> str:
    """Returns a row for each language, and a column for each core."""
    files = {file: read_task_file(file) for file in sorted(RESULTS.glob("formal-*.json"))}
    kinds = {run.config.core.kind for runs in files.values() for run in runs}
    cores = sorted(kinds, key=core_rank)
    rows = [
        [
            f"[{_language(file)}](/{file.relative_to(ROOT)})",
            *(_scores(runs, core) for core in cores),
        ]
        for file, runs in files.items()
    ]
    return table(["language", *(f"`{core}`" for core in cores)], rows)


def _language(file: Path) -> str:
    return file.stem.partition("-")[2]


def _scores(runs: Sequence[RunRecord], core: str) -> str:
    """Returns the mean score of a core's seeds, and that of longer strings."""
    own = [run for run in runs if run.config.core.kind == core]
    usual = [run.score.value for run in own if run.score is not None]
    longer = [e.value for run in own for e in run.others if "args.max_length" in e.settings]
    means = ", ".join(f"{mean(values):.3f}" for values in (usual, longer) if values)
    return f"{means} ({len(own)} seeds)" if len(own) > 1 else means
