"""Counts where a policy loses points, in games that are played point by point, as Pong is.

`python -m tools.lost_points FOLDER...` plays 30 full games with the policy of each run folder, as
an evaluation does, and writes `results/lost_points/<folder>.json`, or `<core>-<seed>.json`: of the
points that begin a game, follow a won and follow a lost one, how many there were and how many were
lost.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch

from agents.evaluation.evaluate import EvaluationConfig, evaluate
from agents.evaluation.games import FirstGames
from experiment.provenance import ROOT

RESULTS = ROOT / "results" / "lost_points"
AFTER = ("start", "won", "lost")
KEPT = ("mean_return", "standard_error", "min_return", "core", "frames")


class Points:
    """Is told of games after every step, and counts points by what came before them."""

    def __init__(self) -> None:
        self.played = dict.fromkeys(AFTER, 0)
        self.lost = dict.fromkeys(AFTER, 0)
        self._before: list[str] = []
        self._returns = np.zeros(0)

    def __call__(self, games: FirstGames) -> None:
        """Takes in the returns of all games so far."""
        if not self._before:
            self._before = ["start"] * len(games.returns)
            self._returns = np.zeros(len(games.returns))
        change = games.returns - self._returns
        for i in np.flatnonzero(change):
            self.played[self._before[i]] += 1
            self.lost[self._before[i]] += int(change[i] < 0)
            self._before[i] = "lost" if change[i] < 0 else "won"
        self._returns = games.returns.copy()


def count(run: Path) -> dict[str, Any]:
    """Returns the points of a run's policy by what came before them, and how it was evaluated."""
    points = Points()
    result = evaluate(run, EvaluationConfig(), points)
    origin = result["provenance"]
    return {
        **{name: origin[name] for name in ("commit", "date")},
        "machine": origin["hardware"],
        **{name: result[name] for name in KEPT},
        "points": {of: {"played": points.played[of], "lost": points.lost[of]} for of in AFTER},
    }


def _name(run: Path) -> str:
    """Returns the name of a run's file: its folder's, and before a seed the core's."""
    return f"{run.parent.name}-{run.name}" if run.name.startswith("seed") else run.name


def main() -> None:
    """Writes the files of the run folders on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    RESULTS.mkdir(exist_ok=True)
    torch.set_num_threads(1)
    for run in parser.parse_args().runs:
        path = RESULTS / f"{_name(run)}.json"
        if path.exists():
            parser.error(f"{path} exists: remove it, if it is not of another run")
        path.write_text(json.dumps(count(run), indent=2) + "\n")
        print(path)


if __name__ == "__main__":
    main()
