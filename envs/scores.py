"""What a score is worth: random and human scores of Atari, chance and perfect of memory tasks.

Source of `atari_scores.csv`: random and human are the constants of `atari_data.py` in dqn_zoo
(Google DeepMind); `impala_deep_200m` is table C.1 of Espeholt et al. 2018 (deep network,
feed-forward, 200 M frames), `r2d2_10b` is Kapturowski et al. 2019 (10 B frames). All were read
from the data set that accompanies Atari-5 (Aitchison et al. 2022).
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


MINIGRID_MEMORY = {
    # Either object and the right one, both at once; a walk of n steps costs 0.9 n / 245 of it.
    "MiniGrid-MemoryS7-v0": Scores(floor=0.5, ceiling=1.0),
}


class Published(NamedTuple):
    """Mean scores of a game as others published them, each under a protocol of its own."""

    random: float
    human: float
    impala_deep_200m: float
    r2d2_10b: float


@cache
def published_scores() -> dict[str, Published]:
    """Returns published Atari scores by canonical name, for the 57 games that have them."""
    with _ATARI_SCORES.open(newline="") as file:
        rows = csv.DictReader(file)
        return {r["game"]: Published(*(float(r[name]) for name in Published._fields)) for r in rows}


@cache
def atari_scores() -> dict[str, Scores]:
    """Returns random and human scores by canonical name, for the 57 games that have them."""
    return {game: Scores(p.random, p.human) for game, p in published_scores().items()}


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
        task = TASKS[game](config)
        return Scores(floor=task.chance_return, ceiling=task.perfect_return)
    if game in MINIGRID_MEMORY:
        return MINIGRID_MEMORY[game]
    return atari_scores().get(game)
