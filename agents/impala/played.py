"""What was played and how long it took, of all ranks: the games and shares of a row of metrics."""

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

from agents.impala.episodes import Episode
from agents.impala.shown import GAMES_IN_MEAN, RETURN_TAG
from experiment.ranks import Ranks

PARTS = ("env", "inference", "learner")


class Played:
    """Games of this rank since the last gathering, and of all ranks since the last row.

    Args:
        ranks: that play.
    """

    def __init__(self, ranks: Ranks) -> None:
        self._ranks = ranks
        self._own: list[list[Episode]] = []  # of each rollout
        self._games: list[Episode] = []
        self._recent_returns: deque[float] = deque(maxlen=GAMES_IN_MEAN)

    def add(self, games: Iterable[Episode]) -> None:
        """Takes in games of this rank that ended in a rollout."""
        self._own.append(list(games))

    def recent_returns(self) -> list[float]:
        """Returns the returns of the last games of all ranks."""
        self._gather()
        return list(self._recent_returns)

    def go_on_from(self, recent_returns: Iterable[float]) -> None:
        """Takes in the returns of games that an earlier session ended with."""
        self._recent_returns.extend(recent_returns)

    def take_row(self) -> dict[str, Any]:
        """Returns what a row of metrics says of the games since the last one."""
        self._gather()
        games, self._games = self._games, []
        row: dict[str, Any] = {"games": [(game.game_return, game.length_steps) for game in games]}
        if games:
            row["length/new_games_steps"] = sum(game.length_steps for game in games) / len(games)
        if recent := self._recent_returns:
            row[RETURN_TAG] = sum(recent) / len(recent)
        return row

    def _gather(self) -> None:
        """Takes in the games of all ranks, rollout after rollout, whoever played more of them."""
        for of_ranks in zip(*self._ranks.gather(self._own), strict=True):
            for games in of_ranks:
                self._games += games
                self._recent_returns += [game.game_return for game in games]
        self._own = []


def mean_of_ranks(values: Mapping[str, float], ranks: Ranks) -> dict[str, float]:
    """Returns the mean over ranks of values by name."""
    of_ranks = ranks.gather(dict(values))
    return {name: sum(of[name] for of in of_ranks) / ranks.size for name in values}
