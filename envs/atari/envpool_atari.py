"""Atari through envpool: B emulators in C++ threads, observations handed on without a copy."""

from typing import Any

import envpool
import numpy as np
from numpy.typing import NDArray

from envs.atari.presets import FRAME_SKIP, PRESETS, resolve_life_loss
from envs.config import EnvConfig
from envs.envpool_rows import EnvpoolRows
from envs.episodes import EpisodeTracker
from envs.seeds import game_seeds
from envs.spec import EnvSpec, EnvStep


class EnvpoolAtari(EnvpoolRows):
    """A `VecEnv` over envpool's Atari.

    Args:
        game: canonical name, such as "Pong-v5".
        config: protocol, frames and threads.
        num_envs: B.
        seed: environment i plays with seed + i; same seed and actions, same rows.
    """

    def __init__(self, game: str, config: EnvConfig, num_envs: int, seed: int) -> None:
        preset = PRESETS[config.preset]
        env = envpool.make_gymnasium(
            _envpool_name(game),
            num_envs=num_envs,
            batch_size=num_envs,
            num_threads=config.num_threads,
            seed=game_seeds(seed, num_envs),
            stack_num=config.frame_stack,
            img_height=config.frame_size,
            img_width=config.frame_size,
            frame_skip=FRAME_SKIP,
            max_episode_steps=preset.max_episode_steps,
            noop_max=preset.noop_max,
            use_fire_reset=preset.fire_reset,
            repeat_action_probability=preset.repeat_action_probability,
            full_action_space=preset.full_action_space,
            episodic_life=False,
            reward_clip=False,
        )
        super().__init__(env, num_envs)
        self.spec = EnvSpec(
            game=game,
            observation_shape=tuple(env.observation_space.shape),
            observation_dtype="uint8",
            num_actions=int(env.action_space.n),
            frame_skip=FRAME_SKIP,
        )
        self._episodes = EpisodeTracker(num_envs, resolve_life_loss(config))

    def read(
        self,
        observation: NDArray[np.uint8],
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> EnvStep:
        """Takes the end of a game from info; see `EnvpoolRows.read`."""
        game_over = info["terminated"].astype(bool)
        return self._episodes.step(observation, reward, game_over, truncated, info["lives"])


def _envpool_name(game: str) -> str:
    """Returns envpool's spelling of a game (it writes TicTacToe3d where ALE writes 3D)."""
    return {name.lower(): str(name) for name in envpool.list_all_envs()}[game.lower()]
