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

from agents.evaluation import report_tables as tables
from agents.evaluation.comparison import Comparison
from agents.evaluation.headline import headline
from agents.evaluation.plots import Plot
from agents.evaluation.report_tables import Table
from agents.experiment.files import write_atomically, write_json

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
    if folder.is_dir() and any(folder.iterdir()) and not (folder / "comparison.json").is_file():
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
            text=[SCORE_TEXT],
            plots=of("scores"),
            table=tables.returns(comparison),
        ),
        Section(
            title="Across tasks",
            text=[AGGREGATE_TEXT, INTERVAL_TEXT],
            plots=of("aggregates", "profiles"),
            table=tables.aggregates(comparison),
        ),
        Section(
            title="One core against another",
            text=[IMPROVEMENT_TEXT],
            plots=of("improvement"),
            table=tables.improvement(comparison),
        ),
        Section(title="Learning curves", plots=of("curves_frames", "curves_time")),
        Section(
            title="Other evaluations",
            text=[OTHERS_TEXT],
            table=tables.other_evaluations(comparison),
        ),
        Section(title="Speed and memory", text=[SPEED_TEXT], table=tables.speed(comparison)),
        Section(title="What was run", table=tables.origins(comparison)),
        Section(
            title="Settings that differ between cores",
            text=[SETTINGS_TEXT],
            table=tables.settings_that_differ(comparison),
        ),
        Section(title="Every run", table=tables.runs(comparison)),
    ]
    return [section for section in found if section.plots or section.table]


SCORE_TEXT = (
    "Mean return over the seeds, with its 95 % t interval where there are five seeds or more, and "
    "the number of seeds. A seed's return is the mean over the games of its newest evaluation with "
    "sampled actions: 30 on Atari, 500 on a memory task. Score = (return - floor) / (ceiling - "
    "floor): a random player and a human on Atari, guessing and perfection on a memory task. "
    "Published scores are others' results under their own protocols: context, not a baseline."
)
AGGREGATE_TEXT = (
    "IQM is the mean of the middle half of all runs; median and mean are over task means; the "
    "optimality gap is how far runs stay below a score of 1 on average (Agarwal et al. 2021)."
)
INTERVAL_TEXT = (
    "Intervals are percentiles of 5,000 bootstrap resamples of the seeds of each task, seeded. "
    "They are too narrow at few seeds: on normal scores, a nominal 95 % interval of the mean of "
    "one task held the truth in 73 % of cases at 3 seeds, 83 % at 5 and 90 % at 10; of the IQM of "
    "four tasks, 87 %, 92 % and 94 %. Below five seeds none is drawn."
)
IMPROVEMENT_TEXT = (
    "The chance that a run of the first core scores above a run of the second on a task drawn at "
    "random; a tie counts half. It says how often, not by how much: 0.5 is no difference."
)
OTHERS_TEXT = (
    "The same policies under other settings than those of the score: mean return over the seeds, "
    "and the number of seeds. A length other than that of training shows what generalises."
)
SPEED_TEXT = (
    "Frames per second over the whole run (median over seeds), of one machine's training loop with "
    "everything in it; each part's share of the time (core and heads are a part of inference); the "
    "most memory held (the GPU's, or the process's); parameters of the policy and "
    "of its core; bytes of state that the core carries from step to step, for one environment."
)
SETTINGS_TEXT = "Within a task, only the core should differ; whatever else does is listed here."


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
