"""Starts, ends and lost lives, read off a scripted game of two environments."""

import numpy as np
import pytest

from envs.episodes import EpisodeTracker

# Environment 0: loses a life, gains two, is cut, begins anew with fewer, which is no loss.
# Environment 1: loses a life on a game over at the limit, begins anew with more lives, then loses
# a life on the row that is cut.
LIVES = np.array([[3, 1], [2, 0], [2, 3], [4, 3], [3, 2]], np.int32)
GAME_OVER = np.array([[0, 0], [0, 1], [0, 0], [0, 0], [0, 0]], bool)
CUT = np.array([[0, 0], [0, 1], [0, 0], [1, 0], [0, 1]], bool)
BEGINS = np.array([[1, 1], [0, 0], [0, 1], [0, 0], [1, 0]], bool)
LIFE_LOST = np.array([[0, 0], [1, 1], [0, 0], [0, 0], [0, 1]], bool)


def track(life_loss):
    tracker = EpisodeTracker(2, life_loss)
    blank = np.zeros(2, np.float32)
    rows = [tracker.step(blank, blank, *row) for row in zip(GAME_OVER, CUT, LIVES, strict=True)]
    return {name: np.stack([getattr(row, name) for row in rows]) for name in rows[0]._fields}


@pytest.mark.parametrize("life_loss", ["ignore", "zero_discount", "end_episode"])
def test_every_flag(life_loss):
    rows = track(life_loss)
    np.testing.assert_array_equal(rows["lives"], LIVES)
    np.testing.assert_array_equal(rows["game_over"], GAME_OVER)
    np.testing.assert_array_equal(rows["truncated"], [[0, 0], [0, 0], [0, 0], [1, 0], [0, 1]])
    lost = LIFE_LOST if life_loss != "ignore" else np.zeros_like(LIFE_LOST)
    np.testing.assert_array_equal(rows["terminated"], GAME_OVER | lost)
    wiped = np.zeros_like(BEGINS)
    wiped[1, 0] = life_loss == "end_episode"  # the other lives fall on rows that end the game
    np.testing.assert_array_equal(rows["start"], BEGINS | wiped)


@pytest.mark.parametrize("life_loss", ["zero_discount", "end_episode"])
def test_the_last_life_ends_with_the_game_and_not_when_lives_reach_0(life_loss):
    tracker = EpisodeTracker(1, life_loss)
    reward, no, yes = np.zeros(1, np.float32), np.zeros(1, bool), np.ones(1, bool)
    rows = [
        tracker.step(reward, reward, yes if over else no, no, np.array([lives], np.int32))
        for lives, over in ((2, False), (1, False), (0, False), (0, False), (0, True))
    ]
    assert [bool(row.terminated[0]) for row in rows] == [False, True, False, False, True]
    wiped = life_loss == "end_episode"
    assert [bool(row.start[0]) for row in rows] == [True, wiped, False, False, False]


def test_lives_gained_are_no_loss():
    tracker = EpisodeTracker(1, "end_episode")
    no, reward = np.zeros(1, bool), np.zeros(1, np.float32)
    for lives in (2, 3, 3):
        row = tracker.step(reward, reward, no, no, np.array([lives], np.int32))
        assert not row.terminated.any()
    assert not row.start.any()
