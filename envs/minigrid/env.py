"""Plays MiniGrid in envpool's threads.

An observation packs envpool's dictionary into one vector of symbols: object, colour and state of
each cell in view, then the direction that the agent faces. The mission is left out: in the games
here it is always the same.
"""

from typing import Any

import envpool
import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.envpool_rows import EnvpoolRows
from envs.episodes import EpisodeTracker
from envs.seeds import game_seeds
from envs.spec import EnvSpec, EnvStep

CELL = (11, 6, 3)
"""Objects, colours and states that there are: `minigrid/core/constants.py` of Farama's MiniGrid."""
NUM_DIRECTIONS = 4


class EnvpoolMiniGrid(EnvpoolRows):
    """A `VecEnv` of one MiniGrid game; `lives` is 0 throughout.

    Args:
        game: a name in `GAMES`.
        config: emulator threads.
        num_envs: B.
        seed: environment i plays with seed + i; same seed and actions, same rows.
    """

    def __init__(self, game: str, config: EnvConfig, num_envs: int, seed: int) -> None:
        env = envpool.make_gymnasium(
            game,
            num_envs=num_envs,
            batch_size=num_envs,
            num_threads=config.num_threads,
            seed=game_seeds(seed, num_envs),
        )
        super().__init__(env, num_envs)
        num_cells = int(np.prod(env.observation_space["image"].shape[:-1]))
        symbols = CELL * num_cells + (NUM_DIRECTIONS,)
        self.spec = EnvSpec(
            game=game,
            observation_shape=(len(symbols),),
            observation_dtype="uint8",
            symbols=symbols,
            num_actions=int(env.action_space.n),
            frame_skip=1,
        )
        self._no_lives = np.zeros(num_envs, np.int32)
        self._episodes = EpisodeTracker(num_envs, "ignore")

    def read(
        self,
        observation: dict[str, NDArray[np.generic]],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> EnvStep:
        """Packs the observation; see `EnvpoolRows.read`."""
        cells = observation["image"].reshape(self.num_envs, -1)
        direction = observation["direction"].astype(np.uint8).reshape(self.num_envs, 1)
        symbols = np.concatenate([cells, direction], axis=1)
        return self._episodes.step(symbols, reward, terminated, truncated, self._no_lives)
