"""Scores against rows of the published table, and normalisation against its definition."""

import math

import pytest

from envs import EnvConfig, canonical_game
from envs.scores import atari_scores, game_scores, human_normalised, published_scores


@pytest.mark.parametrize(
    ("game", "random", "human"),
    [
        ("Pong-v5", -20.71, 14.6),
        ("Skiing-v5", -17098.09, -4336.9),
        ("MontezumaRevenge-v5", 0.0, 4753.3),
        ("Alien-v5", 227.75, 7127.7),
        ("Zaxxon-v5", 32.5, 9173.3),
    ],
)
def test_published_scores(game, random, human):
    assert atari_scores()[game] == (random, human)


def test_scores_published_by_others_are_in_their_columns():
    assert published_scores()["Pong-v5"] == (-20.71, 14.6, 20.98, 21.0)
    assert published_scores()["Alien-v5"] == (227.75, 7127.7, 15962.1, 229496.9)


def test_all_57_games_exist_and_have_a_scale():
    assert len(atari_scores()) == 57
    for game, scores in atari_scores().items():
        assert canonical_game(game) == game
        assert scores.ceiling > scores.floor
        assert math.isfinite(scores.ceiling - scores.floor)


def test_human_normalised_is_0_at_random_and_1_at_human():
    assert human_normalised("Pong", -20.71) == 0
    assert human_normalised("Pong-v5", 14.6) == 1
    assert human_normalised("Pong-v5", 21) == pytest.approx(41.71 / 35.31)
    assert human_normalised("Adventure-v5", 1.0) is None
    assert human_normalised("tmaze", 1.0) is None


@pytest.mark.parametrize(
    ("game", "chance"),
    [
        ("tmaze", 1 / 2),
        ("parity", 1 / 2),
        ("key_value", 1 / 8),
        ("repeat_previous", 1 / 8),
        ("control", 1 / 8),
    ],
)
def test_memory_tasks_go_from_chance_to_perfect(game, chance):
    scores = game_scores(game, EnvConfig())
    assert scores == (chance, 1.0)
    assert scores.normalise(1.0) == 1
    assert scores.normalise(chance) == 0


def test_other_games_have_atari_scores_or_none():
    assert game_scores("Pong-v5", EnvConfig()) == atari_scores()["Pong-v5"]
    assert game_scores("Adventure-v5", EnvConfig()) is None
    assert game_scores("probe", EnvConfig()) is None
