"""Turns run folders into a report: index.html, report.md, figures with their data, and numbers."""

from collections.abc import Sequence
from pathlib import Path

from comparison.figures import all_plots
from comparison.headline import headline
from comparison.numbers import as_values, compare
from comparison.page import render, write
from comparison.run_record import find_run_folders, read_run


def compare_and_write(folders: Sequence[Path], out: Path) -> str:
    """Compares every run in or below the folders, and writes the report.

    Args:
        folders: run folders, or folders that hold them; nothing in them is changed.
        out: folder of the report, made where it is missing; an earlier report is replaced.

    Returns:
        What a person at the terminal wants to read.

    Raises:
        ValueError: there is nothing to compare, or something is unusable; nothing is written.
    """
    paths = find_run_folders(folders)
    inside = next((path for path in paths if out.resolve().is_relative_to(path.resolve())), None)
    if inside is not None:
        raise ValueError(f"--out {out} lies in the run folder {inside}; choose another")
    comparison = compare([read_run(path) for path in paths])
    files = render(comparison, all_plots(comparison))
    write(out, files, as_values(comparison))
    lines = [f"warning: {warning}" for warning in comparison.warnings]
    lines += [headline(comparison), f"report: {out / 'index.html'}"]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
