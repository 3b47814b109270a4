"""The report's files: the answer and its sections, as a page without scripts and as Markdown.

Everything that came from a run folder is escaped: by jinja2 in HTML, by `_markdown` in Markdown.
The page holds its figures and loads nothing; its policy forbids scripts and the network.
"""

import re
from base64 import b64encode
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from comparison.answer import answer
from comparison.figure_parts import Plot
from comparison.numbers import Comparison
from comparison.page_text import title
from comparison.report_table import BREAKPOINTS, Cell, words
from comparison.score_tables import heat_map
from comparison.sections import sections
from experiment.files import write_atomically, write_json

FIGURES = "figures"
DARKEST = 0.45  # opacity of the ground of a number; text on it stays readable


def render(comparison: Comparison, plots: dict[str, Plot]) -> dict[str, str]:
    """Returns the files of a report by name, index.html and report.md among them."""
    values = {
        "title": title(comparison),
        "answer": answer(comparison.tasks),
        "heat_map": heat_map(comparison.tasks, comparison.cores),
        "sections": sections(comparison, plots),
        "figures": FIGURES,
        "breakpoints": BREAKPOINTS,
    }
    files = {
        "index.html": _templates(autoescape=True).get_template("report.html").render(values),
        "report.md": _templates(autoescape=False).get_template("report.md").render(values),
    }
    for plot in plots.values():
        files[f"{FIGURES}/{plot.name}.csv"] = plot.csv
        files |= {f"{FIGURES}/{name}": panel.svg for name, panel in plot.files.items()}
    return files


def write(folder: Path, files: dict[str, str], values: dict[str, object]) -> None:
    """Writes a report, and its numbers as comparison.json, into a folder of its own."""
    (folder / FIGURES).mkdir(parents=True, exist_ok=True)
    for old in (folder / FIGURES).iterdir():
        if old.suffix in (".svg", ".csv") and f"{FIGURES}/{old.name}" not in files:
            old.unlink()  # of an earlier report that had more to show
    for name, content in files.items():
        write_atomically(folder / name, content.encode(errors="replace"))  # a lone surrogate
    write_json(folder / "comparison.json", values)


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
    templates.filters |= {
        "markdown": _markdown,
        "breakable": _breakable,
        "ground": lambda heat: f"{DARKEST * heat:.2f}",
        "data_uri": lambda svg: "data:image/svg+xml;base64," + b64encode(svg.encode()).decode(),
    }
    return templates


def _breakable(text: str) -> Markup:
    """Returns text with a place for a line break after each of its words without a space."""
    parts = [escape(word) + Markup("" if word[-1].isspace() else "<wbr>") for word in words(text)]
    return Markup("").join(parts).removesuffix("<wbr>")


def _markdown(text: str | Cell) -> str:
    """Returns text that Markdown shows as it is, on one line; the best number is bold."""
    if isinstance(text, Cell):
        shown = _markdown(f"{text.text} ({text.detail})" if text.detail else text.text)
        return f"**{shown}**" if text.is_best else shown
    return re.sub(r"([\\`*\[\]<>|&~])", r"\\\1", " ".join(text.split()))
