"""The report: one list of sections, rendered as a page without scripts and as Markdown.

Everything that came from a run folder is escaped: by jinja2 in HTML, by `_markdown` in Markdown.
The page holds its figures and loads nothing; its policy forbids scripts and the network.
"""

import re
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from comparison import page_text as text
from comparison import tables
from comparison.figure_parts import Plot
from comparison.headline import headline
from comparison.numbers import Comparison
from comparison.tables import Table
from experiment.files import write_atomically, write_json

FIGURES = "figures"


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Args:
        title: its heading.
        text: paragraphs.
        plots: figures.
        table: numbers, or None.
    """

    title: str
    text: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    table: Table | None = None


def render(comparison: Comparison, plots: dict[str, Plot]) -> dict[str, str]:
    """Returns the files of a report by name, index.html and report.md among them."""
    runs, tasks = len(comparison.runs), len(comparison.tasks)
    values = {
        "title": "Memory cores compared",
        "lead": f"{_count(runs, 'run')}, {_count(len(comparison.cores), 'core')}, "
        f"{_count(tasks, 'task')}. {headline(comparison)}",
        "warnings": comparison.warnings,
        "sections": sections(comparison, plots),
        "figures": FIGURES,
    }
    files = {
        "index.html": _templates(autoescape=True).get_template("report.html").render(values),
        "report.md": _templates(autoescape=False).get_template("report.md").render(values),
    }
    for plot in plots.values():
        files[f"{FIGURES}/{plot.name}.svg"] = plot.svg
        files[f"{FIGURES}/{plot.name}.csv"] = plot.csv
    return files


def write(folder: Path, files: dict[str, str], values: dict[str, object]) -> None:
    """Writes a report, and its numbers as comparison.json, into a folder.

    Raises:
        ValueError: something else is in the folder; it is left as it is.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{folder} is no folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "report.md").is_file():
        raise ValueError(f"{folder} holds something else than a report; choose another --out")
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for old in (folder / FIGURES).iterdir():
        if old.suffix in (".svg", ".csv") and f"{FIGURES}/{old.name}" not in files:
            old.unlink()  # of an earlier report that had more to show
    for name, content in files.items():
        write_atomically(folder / name, content.encode(errors="replace"))  # a lone surrogate
    write_json(folder / "comparison.json", values)


def sections(comparison: Comparison, plots: dict[str, Plot]) -> list[Section]:
    """Returns the parts of the report that these runs give."""

    def of(*names: str) -> list[Plot]:
        return [plots[name] for name in names if name in plots]

    found = [
        Section(
            title="Scores on each task",
            text=text.SCORES,
            plots=of("scores"),
            table=tables.returns(comparison),
        ),
        Section(
            title="Across tasks" if comparison.aggregates else "Distribution of scores",
            text=text.across(comparison),
            plots=of("aggregates", "profiles"),
            table=tables.aggregates(comparison),
        ),
        Section(
            title="One core against another",
            text=[text.improvement(comparison)],
            plots=of("improvement"),
            table=tables.improvement(comparison),
        ),
        Section(title="Learning curves", plots=of("curves_frames", "curves_time")),
        Section(
            title="Other evaluations",
            text=[text.OTHERS],
            table=tables.other_evaluations(comparison),
        ),
        Section(title="Speed and memory", text=[text.SPEED], table=tables.speed(comparison)),
        Section(title="What was run", table=tables.origins(comparison)),
        Section(
            title="Settings that differ between cores",
            text=[text.SETTINGS],
            table=tables.settings_that_differ(comparison),
        ),
        Section(title="Every run", table=tables.runs(comparison)),
    ]
    return [section for section in found if section.plots or section.table]


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _templates(*, autoescape: bool) -> Environment:
    """Returns the templates beside this file; Markdown has an escape of its own."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=autoescape,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    templates.filters["markdown"] = _markdown
    templates.filters["data_uri"] = lambda svg: (
        "data:image/svg+xml;base64," + b64encode(svg.encode()).decode()
    )
    return templates


def _markdown(text: str) -> str:
    """Returns text that Markdown shows as it is, on one line."""
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", " ".join(text.split()))
