"""The table of docs/throughput.md on what each way of making the loop faster is worth alone."""

from benchmarks.lever_report import COLUMNS, lever_cells
from benchmarks.pages.files import link, machine, reports, table


def levers_block() -> str:
    """Returns the newest run of `benchmarks.levers`."""
    found = reports("levers_*-cores_*.json")
    if not found:
        return "Not measured yet."
    name, report = found[-1]
    left_out = ", ".join(report["left_out"])
    return "\n".join(
        [
            f"{machine(report)}, {link(name, report)}."
            + (f" Not measured within their time: {left_out}." if left_out else ""),
            "",
            table(COLUMNS, map(lever_cells, report["rows"])),
        ]
    )
