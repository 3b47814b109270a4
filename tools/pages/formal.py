"""Which cores learn which formal languages, and strings longer than they saw: docs/sequences.md."""

from pathlib import Path

from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from tools.pages.files import ROOT, table

RESULTS = ROOT / "results" / "sequences"


def formal_block() -> str:
    """Returns a row for each language and core."""
    files = sorted(RESULTS.glob("formal-*.json"))
    rows = [row for file in files for row in _rows(file)]
    header = ["language", "core", "seed", "2 to 50 symbols", "51 to 100 symbols"]
    return table(header, rows)


def _rows(file: Path) -> list[list[str]]:
    runs = sorted(read_task_file(file), key=lambda run: (run.config.core.kind, run.config.seed))
    language = file.stem.partition("-")[2]
    return [
        [
            f"[{language}](/{file.relative_to(ROOT)})",
            f"`{run.config.core.kind}`",
            str(run.config.seed),
            "" if run.score is None else f"{run.score.value:.3f}",
            _longer(run),
        ]
        for run in runs
    ]


def _longer(run: RunRecord) -> str:
    found = [other.value for other in run.others if "args.max_length" in other.settings]
    return f"{found[0]:.3f}" if found else ""
