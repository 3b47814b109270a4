"""The parts of a report in the order in which a reader wants them."""

from collections.abc import Sequence
from dataclasses import dataclass

from comparison import detail_tables, score_tables
from comparison import page_text as text
from comparison.figure_parts import Plot
from comparison.numbers import Comparison
from comparison.report_table import Table
from comparison.statistics import MIN_RUNS


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of the report.

    Args:
        title: its heading.
        points: what to doubt, one by one.
        text: paragraphs.
        plots: figures.
        table: numbers, or None.
    """

    title: str
    points: Sequence[str] = ()
    text: Sequence[str] = ()
    plots: Sequence[Plot] = ()
    table: Table | None = None


def sections(comparison: Comparison, plots: dict[str, Plot]) -> list[Section]:
    """Returns the parts of the report that these runs give, after its answer."""
    parts = [*_scores(comparison, plots), _doubts(comparison), *_runs(comparison, plots)]
    return [part for part in parts if part.points or part.plots or part.table]


def _scores(comparison: Comparison, plots: dict[str, Plot]) -> list[Section]:
    def of(*names: str) -> list[Plot]:
        return [plots[name] for name in names if name in plots]

    where = text.on_tasks(comparison)
    parts = [
        Section(
            title=f"Scores of every run {where}",
            text=[comparison.kind.words.scores],
            plots=of("scores"),
            table=score_tables.measured(comparison),
        )
    ]
    parts.append(
        Section(
            title=f"By kind of memory {where}",
            text=[text.MEMORY],
            table=score_tables.by_memory(comparison.tasks, comparison.cores),
        )
    )
    if comparison.shared_tasks:
        across = text.across(comparison)
        parts += [
            Section(
                title=f"All runs {across}",
                text=[text.AGGREGATES] * bool(comparison.aggregates),
                plots=of("aggregates", "profiles"),
                table=score_tables.aggregates(comparison),
            ),
            Section(
                title=f"One core against another {across}",
                text=[text.improvement(comparison)],
                table=score_tables.improvement(comparison),
            ),
            Section(title=f"What a score costs {across}", plots=of("frontier")),
        ]
    curves = of(f"curves_{comparison.kind.unit}", "curves_time")
    return [*parts, Section(title=f"Learning curves {where}", plots=curves)]


def _doubts(comparison: Comparison) -> Section:
    groups = [runs for task in comparison.tasks for runs in task.scored.values()]
    has_intervals = any(len(runs) >= MIN_RUNS for runs in groups)
    has_bounds = any(profile.low is not None for profile in comparison.profiles.values())
    worth = [text.T_INTERVALS] * has_intervals + [text.INTERVALS] * has_bounds
    return Section(title="What to doubt", points=[*comparison.warnings, *worth])


def _runs(comparison: Comparison, plots: dict[str, Plot]) -> list[Section]:
    words = comparison.kind.words
    return [
        Section(
            title=words.others_title,
            text=[words.others],
            plots=[plots[name] for name in ("sizes",) if name in plots],
            table=score_tables.other_evaluations(comparison),
        ),
        Section(
            title="Speed and memory", text=[words.speed], table=detail_tables.speed(comparison)
        ),
        Section(title="What was run", table=detail_tables.origins(comparison)),
        Section(
            title="Settings that differ between cores",
            text=[text.SETTINGS],
            table=detail_tables.settings_that_differ(comparison),
        ),
        Section(title="Every run", table=detail_tables.runs(comparison)),
    ]
