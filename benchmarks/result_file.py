"""Where a benchmark's result is kept, and how it is shown."""

import json
import re
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from experiment.files import unused_path, write_atomically

RESULTS = Path(__file__).parent / "results"
FILE_COLUMNS = 120  # a table in a file has no terminal to fit


def write_result(what: str, report: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Writes a report that holds its provenance; never over an earlier one.

    Args:
        what: the benchmark, first word of the file's name.
        report: plain values, with those of `provenance()`.
        folder: where.

    Returns:
        `<what>_<hardware>_<day>_<commit>[-<number>].json` in folder.
    """
    hardware = report["hardware"]
    machine = hardware["gpu"] or f"{hardware['cpu']} {hardware['cores']} cores"
    slug = re.sub(r"[^a-z0-9]+", "-", machine.lower()).strip("-")
    commit = (report["commit"] or report["source_hash"])[:7]
    return write_new(f"{what}_{slug}_{report['date'][:10]}_{commit}", report, folder)


class ResultFile:
    """A report's file, written anew whenever it grows: what stops a benchmark loses nothing.

    Args:
        what: the benchmark, first word of the file's name.
        folder: where; None writes nothing.
    """

    def __init__(self, what: str, folder: Path | None = RESULTS) -> None:
        self._what, self._folder = what, folder
        self.path: Path | None = None

    def write(self, report: dict[str, Any]) -> None:
        """Writes a report in place of what this one wrote before."""
        if self.path is not None:
            write_atomically(self.path, as_bytes(report))
        elif self._folder is not None:
            self.path = write_result(self._what, report, self._folder)


def write_new(name: str, report: dict[str, Any], folder: Path = RESULTS) -> Path:
    """Writes `<name>[-<number>].json` in folder, which it may have to make; returns the file."""
    folder.mkdir(exist_ok=True)
    path = unused_path(folder / f"{name}.json")
    write_atomically(path, as_bytes(report))
    return path


def as_bytes(report: dict[str, Any]) -> bytes:
    """Returns the content of a report's file."""
    return (json.dumps(report, indent=1) + "\n").encode()


def show(report: dict[str, Any], tables: list[Table], path: Path | None, *, as_json: bool) -> None:
    """Prints a report as JSON, or its tables and where it was written."""
    if as_json:
        print(json.dumps(report))
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=FILE_COLUMNS)
    for table in tables:
        console.print(table)
    if path is not None:
        console.print(f"written to {path}", soft_wrap=True)
