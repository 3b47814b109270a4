"""What the report's intervals are worth, for docs/compare.md."""

from benchmarks.interval_coverage import HEADER, LEARNS, cells
from tools.pages.files import link, reports, table


def coverage_block() -> str:
    """Returns the newest run of `benchmarks.interval_coverage`."""
    name, report = reports("coverage_*.json")[-1]
    return (
        f"{table(HEADER, map(cells, report['rows']))}\n\n"
        f"{report['settings']['repetitions']:,} draws a row ({link(name, report)}). Scores are "
        f"normal, but in the third column, where a run scores 1 with probability {LEARNS:g} and "
        "else 0: often all seeds agree, and the interval has no width."
    )
