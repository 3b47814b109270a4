"""How large the memory of policies becomes in a game, for docs/pong_trials.md."""

from math import hypot
from typing import Any

from tools.pages.files import link, reports, table


def growth_block() -> str:
    """Returns the norm of the whole state, a row for each policy and a column for each step."""
    name, report = reports("state_growth_*.json")[-1]
    steps = sorted({row["step"] for policy in report["policies"] for row in policy["rows"]})
    rows = []
    for policy in report["policies"]:
        found = {row["step"]: _norm(row, report) for row in policy["rows"]}
        norms = [found.get(step, "") for step in steps]
        args = "".join(f", {name} {value}" for name, value in policy["args"].items())
        rows.append([f"`{policy['core']}`{args}", *norms])
    header = ["norm of the state after step", *map(str, steps)]
    return f"{table(header, rows)}\n\nOf 8 games at first, {link(name, report)}."


def _norm(row: dict[str, Any], report: dict[str, Any]) -> str:
    """Returns the norm of the whole state, and how many games it is of where some have ended."""
    most = max(other["num_games"] for policy in report["policies"] for other in policy["rows"])
    few = f" ({row['num_games']} games)" if row["num_games"] < most else ""
    return f"{hypot(*row['norms']):.0f}{few}"
