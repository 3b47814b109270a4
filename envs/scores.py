"""What a score is worth: random and human scores of Atari, chance and perfect of memory tasks.

Source of `atari_scores.csv`: the constants of `atari_data.py` in dqn_zoo (Google DeepMind), as
read from the data set that accompanies Atari-5 (Aitchison et al. 2022).
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from envs.config import EnvConfig
from envs.memory import TASKS

_ATARI_SCORES = Path(__file__).with_name("atari_scores.csv")


class Scores(NamedTuple):
    """Two returns that fix a scale for a game."""

    floor: float  # a random player (Atari) or guessing (memory tasks)
    ceiling: float  # a human (Atari) or every answer right (memory tasks)

    def normalise(self, score: float) -> float:
        """Returns the score on the scale where floor is 0 and ceiling is 1."""
        return (score - self.floor) / (self.ceiling - self.floor)


@cache
def atari_scores() -> dict[str, Scores]:
    """Returns random and human scores by canonical name, for the 57 games that have them."""
    with _ATARI_SCORES.open(newline="") as file:
        rows = csv.DictReader(file)
        return {r["game"]: Scores(float(r["random"]), float(r["human"])) for r in rows}


def human_normalised(game: str, score: float) -> float | None:
    """Returns (score - random) / (human - random), or None where no human score is known.

    Args:
        game: "Pong" or "Pong-v5".
        score: unclipped return of a full game.
    """
    scores = atari_scores().get(game if game.endswith("-v5") else f"{game}-v5")
    return scores.normalise(score) if scores else None


def game_scores(game: str, config: EnvConfig) -> Scores | None:
    """Returns the scale of any game, or None where none is known.

    Args:
        game: canonical name.
        config: sizes, on which the chance of a memory task depends.
    """
    if game in TASKS:
        return Scores(floor=1 / TASKS[game](config).num_actions, ceiling=1.0)
    return atari_scores().get(game)
