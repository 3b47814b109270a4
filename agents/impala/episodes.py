"""Returns and lengths of whole games, counted while the actors play them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.spec import EnvStep


@dataclass(frozen=True, slots=True)
class Episode:
    """One finished game."""

    game_return: float  # sum of raw rewards, points
    length_steps: int  # agent steps


class EpisodeCounter:
    """Sums each environment's raw rewards until its game ends. Lost lives do not end a game."""

    def __init__(self, num_envs: int) -> None:
        self.returns = np.zeros(num_envs)
        self.steps = np.zeros(num_envs, dtype=np.int64)

    def count(self, step: EnvStep) -> list[Episode]:
        """Adds one row and returns the games that it ended."""
        self.returns += step.reward
        self.steps += 1
        ended = ~step.valid
        if not ended.any():
            return []
        episodes = [
            # the first row of a game shows its first observation: no step led to it
            Episode(float(self.returns[i]), int(self.steps[i]) - 1)
            for i in np.flatnonzero(ended)
        ]
        self.returns[ended] = 0.0
        self.steps[ended] = 0
        return episodes

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns copies of the running sums."""
        return {"returns": self.returns.copy(), "steps": self.steps.copy()}

    def load_state_dict(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Restores what `state_dict` returned."""
        self.returns[:] = state["returns"]
        self.steps[:] = state["steps"]
