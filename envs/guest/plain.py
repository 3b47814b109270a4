"""A guest as the suite plays it, and in which line of its code it fails."""

import traceback
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from envs.guest.spaces import action_writer, check_observation, observation_reader


class Plain(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A guest with one array to see and one number to answer with; its info is left out.

    Attributes:
        is_left_out: the guest is asked nothing more; what it showed last is handed out again.
    """

    def __init__(self, game: str, env: "gymnasium.Env[Any, Any]") -> None:
        super().__init__(env)
        self._game = game
        shows: Any = getattr(env, "observation_space", None)  # which the user may have left out
        takes: Any = getattr(env, "action_space", None)
        self.observation_space, self._see = observation_reader(game, shows)
        num_actions, self._answer = action_writer(game, takes)
        self.action_space = spaces.Discrete(num_actions)
        self.is_left_out = False
        self._seen: NDArray[np.generic] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins a game.

        Raises:
            RuntimeError: the guest fails; the message says in which line.
            ValueError: the guest shows something else than its space says.
        """
        if not self.is_left_out:
            try:
                observation, _ = self.env.reset(seed=seed, options=options)
            except Exception as error:
                raise RuntimeError(f"{self._game} fails in reset: {told(error)}") from error
            check_observation(self._game, self.env.observation_space, observation)
            self._seen = self._see(observation)
        return self._seen, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes action number `action`.

        Raises:
            RuntimeError: the guest fails; the message says in which line.
        """
        if self.is_left_out:
            return self._seen, 0.0, True, False, {}
        answer = self._answer(int(action))
        try:
            observation, reward, terminated, truncated, _ = self.env.step(answer)
        except Exception as error:
            raise RuntimeError(f"{self._game} fails in step: {told(error)}") from error
        self._seen = self._see(observation)
        return self._seen, reward, bool(terminated), bool(truncated), {}


def told(error: Exception) -> str:
    """Returns what code from outside raised, and in which line."""
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}: {error}"
