"""Ratios of what was changed to what is shipped, and what they mean for the whole loop."""

import statistics
from collections.abc import Sequence
from typing import Any, NamedTuple

from rich.table import Table

from benchmarks.timing import speed_over

SHIPPED = "as shipped"
PARTS = ("encoder", "loss", "optimiser")
"""Of the shipped loop, in learning."""
ONE_PASS = "whole, one pass"
""""whole" of the loop that learns once from a rollout, in one minibatch."""


class Group(NamedTuple):
    """Seconds of some levers and of what they change, taken in turns."""

    part: str
    """What was timed: "whole" or a part of it."""
    seconds: dict[str, list[float]]
    """Per rollout, of every turn, by lever; SHIPPED is one of them."""


def lever_rows(groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Returns a row for each lever.

    `ratio` is the speed of the part, changed over shipped: the median over the turns, with its
    quartiles. `share` is the part's share of the shipped loop's time, None where the part belongs
    to another loop; `whole` is then what the ratio makes of the loop's speed.
    """
    shipped = [s for group in groups if group.part == "whole" for s in group.seconds[SHIPPED]]
    whole = statistics.median(shipped) if shipped else None
    return [
        lever_row(name, group, whole)
        for group in groups
        for name in group.seconds
        if name != SHIPPED
    ]


def lever_row(name: str, group: Group, whole: float | None) -> dict[str, Any]:
    """Returns the row of one lever; see `lever_rows`."""
    shipped, changed = group.seconds[SHIPPED], group.seconds[name]
    ratio, quartiles = speed_over(shipped, changed)
    share = None
    if group.part == "whole":
        share = 1.0
    elif whole is not None and group.part in PARTS:
        share = statistics.median(shipped) / whole
    return {
        "lever": name,
        "part": group.part,
        "shipped_seconds": statistics.median(shipped),
        "changed_seconds": statistics.median(changed),
        "ratio": ratio,
        "quartiles": list(quartiles),
        "share": share,
        "whole": None if share is None else 1 / (1 - share + share / ratio),
    }


COLUMNS = ("change", "of", "speed", "quartiles", "share of the loop", "speed of the loop")


def lever_cells(row: dict[str, Any]) -> list[str]:
    """Returns a row as text, in COLUMNS."""
    low, high = row["quartiles"]
    share = "" if row["share"] is None else f"{row['share']:.0%}"
    whole = "" if row["whole"] is None else f"{row['whole']:.2f}"
    spread = f"{low:.2f} to {high:.2f}"
    return [row["lever"], row["part"], f"{row['ratio']:.2f}", spread, share, whole]


def lever_table(report: dict[str, Any]) -> Table:
    """Returns the report as a table for a terminal."""
    table = Table(*COLUMNS, title="times as fast as shipped, each change alone")
    for row in report["rows"]:
        table.add_row(*lever_cells(row))
    return table
