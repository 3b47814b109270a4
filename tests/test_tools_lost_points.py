"""Points by what came before them."""

import numpy as np

from agents.evaluation.games import FirstGames
from tools.lost_points import Points


def test_a_point_counts_by_what_came_before_it():
    games, points = FirstGames(2), Points()
    for earned in ([0, 0], [-1, 1], [0, 1], [-1, 0], [1, -1], [-1, 0]):
        games.returns = games.returns + np.array(earned, float)
        points(games)
    assert points.played == {"start": 2, "won": 3, "lost": 2}
    assert points.lost == {"start": 1, "won": 2, "lost": 1}
