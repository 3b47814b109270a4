"""Counts whole games: one in each environment, with its return, its steps and its lives."""

import numpy as np
from numpy.typing import NDArray

from envs.episodes import lost_lives
from envs.spec import EnvStep


class FirstGames:
    """Counts the first game of each environment, and its lives.

    Args:
        num_envs: B.
        max_steps: games are cut after this many steps, their returns counted as they stand; None
            is no limit but the game's own.

    Attributes:
        returns, steps: [B] of each game so far.
        playing: [B] whether it goes on.
        cut: [B] whether `max_steps` ended it.
        life_returns: of every life that ended.
        has_lives: whether the game has any.
    """

    def __init__(self, num_envs: int, max_steps: int | None = None) -> None:
        self.returns = np.zeros(num_envs)
        self.steps = np.zeros(num_envs, dtype=np.int64)
        self.playing = np.ones(num_envs, dtype=bool)
        self.cut = np.zeros(num_envs, dtype=bool)
        self.life_returns: list[float] = []
        self.has_lives = False
        self._max_steps = max_steps
        self._life = np.zeros(num_envs)
        self._lives: NDArray[np.int32] | None = None

    def count(self, step: EnvStep) -> None:
        """Takes in one row of every environment; those of ended games count no more."""
        self.returns += np.where(self.playing, step.reward, 0.0)
        self._life += step.reward
        if self._lives is not None:  # the first row has no step behind it
            self.steps += self.playing
        ended = self.playing & ~step.valid
        if self._max_steps is not None:
            self.cut |= self.playing & ~ended & (self.steps >= self._max_steps)
        ended |= self.playing & self.cut
        before = step.lives if self._lives is None else self._lives
        lost = ended | (self.playing & lost_lives(before, step.lives))
        self.has_lives |= bool(step.lives.any())
        self.life_returns += self._life[lost].tolist()
        self._life[lost] = 0.0
        self.playing &= ~ended
        self._lives = step.lives.copy()
