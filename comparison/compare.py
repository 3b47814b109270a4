"""Turns runs into a report: index.html, report.md, figures with their data, and numbers."""

from collections.abc import Callable, Sequence
from pathlib import Path

from comparison.read_runs import find_runs, read_runs
from comparison.run_record import RunRecord
from experiment.files import refuse_unwritable


def compare_and_write(
    paths: Sequence[Path], out: Path, tell: Callable[[str], object] | None = None
) -> str:
    """Compares every run in or below the paths, and writes the report.

    Args:
        paths: run folders, files of runs, or folders that hold them; nothing in them is changed.
        out: folder of the report, made where it is missing; an earlier report is replaced.
        tell: is told what is compared, once it is known that it can be.

    Returns:
        What a person at the terminal wants to read.

    Raises:
        ValueError: there is nothing to compare, or something is unusable; nothing is written.
    """
    runs = _runs(paths, out)
    if tell is not None:
        tell(f"comparing {len(runs)} runs")
    return _write(runs, out)


def _runs(paths: Sequence[Path], out: Path) -> list[RunRecord]:
    """Returns the runs, for a report that can be written."""
    found = find_runs(paths)
    inside = next((path for path in found if out.resolve().is_relative_to(path.resolve())), None)
    if inside is not None:
        raise ValueError(f"--out {out} lies in the run {inside}; choose another")
    refuse_other_files(out)
    refuse_unwritable(out)
    return read_runs(found)


def refuse_other_files(folder: Path) -> None:
    """Raises ValueError where a folder holds something else than an earlier report."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "report.md").is_file():
        raise ValueError(f"{folder} holds something else than a report; choose another --out")


def _write(runs: Sequence[RunRecord], out: Path) -> str:
    from comparison.answer import answer  # what computes and draws takes seconds to import
    from comparison.figures import all_plots
    from comparison.numbers import as_values, compare
    from comparison.page import render, write

    comparison = compare(runs)
    files = render(comparison, all_plots(comparison))
    said = answer(comparison.tasks)
    write(out, files, {"answer": said} | as_values(comparison))
    lines = [f"warning: {warning}" for warning in comparison.warnings]
    lines += [said, f"report: {out / 'index.html'}"]
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
