"""How large the state of a saved policy's core becomes within a game.

`python -m benchmarks.state_growth RUN ...` plays games with each policy and notes the norm of every
tensor of the state after so many steps, in games that still go on: a root mean square over games.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.table import Table

from agents.evaluation.player import Player, make_env_of
from agents.evaluation.saved_policy import SavedPolicy, load_policy
from benchmarks.result_file import show, write_result
from experiment.provenance import provenance

STEPS = (1, 100, 200, 400, 800, 1600)
NUM_GAMES, SEED = 8, 0


def norms(saved: SavedPolicy) -> list[dict[str, Any]]:
    """Returns, after each of STEPS, how many games go on, and the norm of each state tensor."""
    rows = []
    player = Player(saved, NUM_GAMES, SEED, greedy=False)
    playing = np.ones(NUM_GAMES, dtype=bool)
    with (
        closing(make_env_of(saved, NUM_GAMES, SEED, "envpool")) as env,
        torch.inference_mode(),
    ):
        for number in range(1, max(STEPS) + 1):
            step = env.recv()
            playing &= ~step.start | (number == 1)
            if not playing.any():
                break
            _, action = player.act(step)
            env.send(action.numpy())
            if number in STEPS:
                state = [tensor[playing] for tensor in player.state]
                rows.append(_row(number, int(playing.sum()), state))
    return rows


def _row(number: int, num_games: int, state: Sequence[torch.Tensor]) -> dict[str, Any]:
    squares = [tensor.float().square().flatten(1).sum(1).mean() for tensor in state]
    return {
        "step": number,
        "num_games": num_games,
        "norms": [float(square.sqrt()) for square in squares],
    }


def main(arguments: list[str]) -> None:
    """Plays, prints and writes the result file."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.state_growth", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("policies", nargs="+", type=Path, help="run folders with a saved policy")
    policies = parser.parse_args(arguments).policies
    found, shown = [], []
    for path in policies:
        saved = load_policy(path)
        rows = norms(saved)
        core = saved.config.core
        found.append(
            {"policy": str(path), "core": core.kind, "args": dict(core.args), "rows": rows}
        )
        table = Table("step", "games", "norm of each state tensor", title=f"{path}")
        for row in rows:
            texts = [f"{norm:.1f}" for norm in row["norms"]]
            table.add_row(str(row["step"]), str(row["num_games"]), ", ".join(texts))
        shown.append(table)
    report = {**provenance(), "policies": found}
    show(report, shown, write_result("state_growth", report), as_json=False)


if __name__ == "__main__":
    main(sys.argv[1:])
