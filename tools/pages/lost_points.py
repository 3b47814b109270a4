"""Where policies lose their points, as a table, from `results/lost_points`."""

from typing import Any

from experiment.files import read_json
from tools.lost_points import AFTER, RESULTS
from tools.pages.files import table

HEADER = ("run", "core", "30 games", "least", "that begin a game", "after a won", "after a lost")


def lost_points_block() -> str:
    """Returns the table: of the points in each situation, the share that was lost."""
    runs = {path.stem: read_json(path) for path in sorted(RESULTS.glob("*.json"))}
    return table(HEADER, [_row(name, run) for name, run in runs.items()])


def _row(name: str, run: dict[str, Any]) -> list[str]:
    return [
        f"[`{name}`](/results/lost_points/{name}.json)",
        f"`{run['core']}`",
        f"{run['mean_return']:.2f} ({run['standard_error']:.2f})",
        f"{run['min_return']:.0f}",
        *(_share(run["points"][of]) for of in AFTER),
    ]


def _share(points: dict[str, int]) -> str:
    """Returns the share that was lost of a situation's points."""
    if not points["played"]:
        return ""
    return f"{100 * points['lost'] / points['played']:.0f}% of {points['played']}"
