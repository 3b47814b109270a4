"""What each choice of the Pong loop is worth alone, for docs/throughput.md."""

from typing import Any

from tools.pages.files import link, machine, reports, table

HEADER = ("change", "of", "speed", "quartiles", "share of the loop", "speed of the loop")


def levers_block() -> str:
    """Returns the rows of the benchmark, which has answered its question and is gone."""
    name, report = reports("levers_*.json")[-1]
    return (
        f"{machine(report)}, {link(name, report)}.\n\n{table(HEADER, map(_cells, report['rows']))}"
    )


def _cells(row: dict[str, Any]) -> list[str]:
    low, high = row["quartiles"]
    of_loop = (
        [f"{row['share']:.0%}", f"{row['whole']:.2f}"] if row["share"] is not None else ["", ""]
    )
    return [
        row["lever"],
        row["part"],
        f"{row['ratio']:.2f}",
        f"{low:.2f} to {high:.2f}",
        *of_loop,
    ]
