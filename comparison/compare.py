"""Turns runs into a report: index.html, report.md, figures with their data, and numbers."""

from collections.abc import Sequence
from pathlib import Path

from comparison.answer import answer
from comparison.figures import all_plots
from comparison.numbers import as_values, compare
from comparison.page import render, write
from comparison.read_runs import find_runs, read_runs


def compare_and_write(paths: Sequence[Path], out: Path) -> str:
    """Compares every run in or below the paths, and writes the report.

    Args:
        paths: run folders, files of runs, or folders that hold them; nothing in them is changed.
        out: folder of the report, made where it is missing; an earlier report is replaced.

    Returns:
        What a person at the terminal wants to read.

    Raises:
        ValueError: there is nothing to compare, or something is unusable; nothing is written.
    """
    found = find_runs(paths)
    inside = next((path for path in found if out.resolve().is_relative_to(path.resolve())), None)
    if inside is not None:
        raise ValueError(f"--out {out} lies in the run {inside}; choose another")
    comparison = compare(read_runs(found))
    files = render(comparison, all_plots(comparison))
    said = answer(comparison.tasks)
    write(out, files, {"answer": said} | as_values(comparison))
    lines = [f"warning: {warning}" for warning in comparison.warnings]
    lines += [said, f"report: {out / 'index.html'}"]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
