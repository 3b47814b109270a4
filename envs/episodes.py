"""Turns what an emulator reports into `EnvStep` rows: starts, ends and lost lives."""

import numpy as np
from numpy.typing import NDArray

from envs.config import LifeLoss
from envs.spec import EnvStep


def lost_lives(before: NDArray[np.int32], after: NDArray[np.int32]) -> NDArray[np.bool_]:
    """Returns where a life was lost while others remain, of the lives left before and after.

    The last one ends with the game, which some games show for many more steps. The wrappers of
    2021 count the same way.
    """
    return (after < before) & (after > 0)


class EpisodeTracker:
    """Remembers each environment's last row, which says whether the next one begins a game.

    The emulator must reset on the step after an end, as `envs.spec` describes.

    Args:
        num_envs: B.
        life_loss: what losing a life does; see `EnvConfig`.
    """

    def __init__(self, num_envs: int, life_loss: LifeLoss) -> None:
        self._life_loss = life_loss
        self._ended = np.ones(num_envs, bool)
        self._lives = np.zeros(num_envs, np.int32)

    def step(
        self,
        observation: NDArray[np.generic],
        reward: NDArray[np.float32],
        game_over: NDArray[np.bool_],
        cut: NDArray[np.bool_],
        lives: NDArray[np.int32],
    ) -> EnvStep:
        """Returns the rows for what the emulators report; keeps the arrays, copies none.

        A row that ends by game over at the step limit is a game over. A life lost on the very row
        that is cut ends the return: `terminated` and `truncated` are then both true.

        Args:
            observation: [B, ...].
            reward: [B] raw.
            game_over: [B] the game ended.
            cut: [B] the step limit was reached.
            lives: [B] lives left.
        """
        start = self._ended
        truncated = cut & ~game_over
        self._ended = game_over | truncated
        terminated = game_over
        if self._life_loss != "ignore":
            life_lost = lost_lives(self._lives, lives) & ~start
            terminated = game_over | life_lost
            if self._life_loss == "end_episode":
                start = start | (life_lost & ~self._ended)
        self._lives = lives
        return EnvStep(observation, reward, start, terminated, truncated, game_over, lives)
