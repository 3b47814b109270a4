"""Result files, and tables in Markdown."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from experiment.files import read_json
from experiment.metrics import read_metrics
from experiment.provenance import ROOT

BENCHMARKS = ROOT / "benchmarks" / "results"


def last_row(run: Path) -> dict[str, Any]:
    """Returns the last row of a run's metrics."""
    return read_metrics(run / "metrics.jsonl")[-1]


def reports(pattern: str) -> list[tuple[str, Any]]:
    """Returns name and content of the benchmark files that match, oldest first."""
    found = [(path.name, read_json(path)) for path in BENCHMARKS.glob(pattern)]
    return sorted(found, key=lambda named: (named[1]["date"], named[0]))


def table(header: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Returns a Markdown table."""
    cells = [list(header), *(list(row) for row in rows)]
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(cells[0]), *lines[1:]])


def link(name: str, report: Any) -> str:
    """Returns a link from README.md or docs/ to a benchmark file, named by its commit."""
    made_by = report["commit"] or report["source_hash"]  # without git the hash tells
    return f"[{made_by[:7]}](/benchmarks/results/{name})"


def machine(report: Any) -> str:
    """Returns the processor that a report was made on."""
    hardware = report["hardware"]
    return f"{hardware['cores']} cores of {hardware['cpu']} ({hardware['instructions']})"
