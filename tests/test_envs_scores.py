"""Scores against rows of the published table, and normalisation against its definition."""

import math

import pytest

from envs import EnvConfig, canonical_game, family_of
from envs.atari.scores import atari_scores, published_scores


def game_scores(game):
    return family_of(game).scores(game, EnvConfig())


@pytest.mark.parametrize(
    ("game", "random", "human"),
    [
        ("Pong-v5", -20.71, 14.6),
        ("Skiing-v5", -17098.09, -4336.9),
        ("MontezumaRevenge-v5", 0.0, 4753.3),
        ("Alien-v5", 227.75, 7127.7),
        ("SpaceInvaders-v5", 148.0, 1668.7),
        ("VideoPinball-v5", 16256.9, 17667.9),
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


def test_a_normalised_score_is_0_at_random_and_1_at_human():
    assert family_of("Pong-v5").ends == ("random", "human")
    scale = game_scores("Pong-v5")
    assert scale.normalise(-20.71) == 0
    assert scale.normalise(14.6) == 1
    assert scale.normalise(21) == pytest.approx(41.71 / 35.31)


def test_scores_of_other_agents_have_the_names_of_who_published_them():
    published = family_of("Pong-v5").published("Pong-v5")
    assert [label.split(",")[0] for label in published] == ["IMPALA", "R2D2"]
    assert list(published.values()) == [20.98, 21.0]
    assert not family_of("Adventure-v5").published("Adventure-v5")
    assert not family_of("tmaze").published("tmaze")


@pytest.mark.parametrize(
    ("game", "chance"),
    [
        ("tmaze", 1 / 2),
        ("memory_length", 0),
        ("endless_tmaze", 1 / 2),
        ("parity", 1 / 2),
        ("word_problem_s3", 1 / 6),
        ("word_problem_s5", 1 / 120),
        ("key_value", 1 / 8),
        ("repeat_previous", 1 / 8),
        ("control", 1 / 8),
    ],
)
def test_memory_tasks_go_from_chance_to_perfect(game, chance):
    scores = game_scores(game)
    assert scores == (chance, 1.0)
    assert scores.normalise(1.0) == 1
    assert scores.normalise(chance) == 0


def test_minigrid_goes_from_either_object_to_the_right_one():
    assert game_scores("MiniGrid-MemoryS13-v0") == (0.5, 1.0)


def test_other_games_have_atari_scores_or_none():
    assert game_scores("Pong-v5") == atari_scores()["Pong-v5"]
    assert game_scores("Adventure-v5") is None
    assert game_scores("probe") is None
