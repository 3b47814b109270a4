"""How large the memory of published policies becomes in a game, for docs/pong_recipe.md."""

from math import hypot

from tools.pages.files import link, reports, table


def growth_block() -> str:
    """Returns the norm of the whole state, a row for each policy and a column for each step."""
    name, report = reports("state_growth_*.json")[-1]
    steps = sorted({row["step"] for policy in report["policies"] for row in policy["rows"]})
    rows = []
    for policy in report["policies"]:
        found = {row["step"]: hypot(*row["norms"]) for row in policy["rows"]}
        norms = [f"{found[step]:.0f}" if step in found else "" for step in steps]
        args = "".join(f", {name} {value}" for name, value in policy["args"].items())
        rows.append([f"`{policy['core']}`{args}", *norms])
    header = ["norm of the state after step", *map(str, steps)]
    return f"{table(header, rows)}\n\nOf 8 games at first, {link(name, report)}."
