"""All Atari games, and for 57 of them what a random player, a human and other agents score.

Source of the scores in `games.csv`: random and human are the constants of `atari_data.py` in
dqn_zoo (Google DeepMind); `impala_deep_200m` is table C.1 of Espeholt et al. 2018 (deep network,
feed-forward, 200 M frames), `r2d2_10b` is Kapturowski et al. 2019 (10 B frames). All were read
from the data set that accompanies Atari-5 (Aitchison et al. 2022), but for the random scores of
SpaceInvaders and VideoPinball, where it has other numbers. The games are those of ale-py.
"""

import csv
from functools import cache
from pathlib import Path
from typing import NamedTuple

from envs.family import Scores

_GAMES = Path(__file__).with_name("games.csv")


class Published(NamedTuple):
    """Mean scores of a game as others published them, each under a protocol of its own."""

    random: float
    human: float
    impala_deep_200m: float
    r2d2_10b: float


PUBLISHED = {
    "impala_deep_200m": "IMPALA, 200 M frames (Espeholt et al. 2018)",
    "r2d2_10b": "R2D2, 10 B frames (Kapturowski et al. 2019)",
}
"""Agents of others, and how a table calls them."""


@cache
def _rows() -> dict[str, dict[str, str]]:
    with _GAMES.open(newline="") as file:
        return {row["game"]: row for row in csv.DictReader(file)}


def atari_games() -> tuple[str, ...]:
    """Returns the canonical names of all Atari games, such as "Pong-v5"."""
    return tuple(_rows())


@cache
def published_scores() -> dict[str, Published]:
    """Returns published Atari scores by canonical name, for the 57 games that have them."""
    return {
        game: Published(*(float(row[name]) for name in Published._fields))
        for game, row in _rows().items()
        if row["random"]
    }


@cache
def atari_scores() -> dict[str, Scores]:
    """Returns random and human scores by canonical name, for the 57 games that have them."""
    return {game: Scores(p.random, p.human) for game, p in published_scores().items()}
