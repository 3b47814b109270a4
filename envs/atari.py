"""Atari through envpool: B emulators in C++ threads, observations handed on without a copy."""

import envpool
import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.episodes import EpisodeTracker
from envs.presets import FRAME_SKIP, PRESETS, game_seeds, resolve_life_loss
from envs.spec import EnvSpec, EnvStep


class EnvpoolAtari:
    """A `VecEnv` over envpool in its synchronous mode.

    Every `recv` hands over arrays that nothing writes to afterwards. A second `recv` without a
    `send` returns the same rows. envpool cannot save an emulator, so this is no `StatefulVecEnv`.

    Args:
        game: canonical name, such as "Pong-v5".
        config: protocol, frames and threads.
        num_envs: B.
        seed: environment i plays with seed + i; same seed and actions, same rows.
    """

    def __init__(self, game: str, config: EnvConfig, num_envs: int, seed: int) -> None:
        preset = PRESETS[config.preset]
        self._env = envpool.make_gymnasium(
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
        self.num_envs = num_envs
        self.spec = EnvSpec(
            game=game,
            observation_shape=tuple(self._env.observation_space.shape),
            observation_dtype="uint8",
            num_actions=int(self._env.action_space.n),
            frame_skip=FRAME_SKIP,
        )
        self._env_ids = np.arange(num_envs, dtype=np.int32)
        self._episodes = EpisodeTracker(num_envs, resolve_life_loss(config))
        self._is_running = False
        self._step: EnvStep | None = None

    def recv(self) -> EnvStep:
        """Returns the next row of every environment; the first call begins all games."""
        if self._step is None:
            if not self._is_running:
                self._env.async_reset()
                self._is_running = True
            observation, reward, _, cut, info = self._env.recv()
            game_over = info["terminated"].astype(bool)
            self._step = self._episodes.step(observation, reward, game_over, cut, info["lives"])
        return self._step

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers the last `recv` with action [B].

        Raises:
            ValueError: `recv` has not been called since the last `send`, or action is not [B].
        """
        if self._step is None:
            raise ValueError("send answers recv: call recv first")
        if action.shape != (self.num_envs,):
            raise ValueError(f"action must be [B] = {(self.num_envs,)}, got {action.shape}")
        self._step = None
        self._env.send(action, self._env_ids)

    def close(self) -> None:
        """Stops the emulator threads."""
        self._env.close()


def _envpool_name(game: str) -> str:
    """Returns envpool's spelling of a game (it writes TicTacToe3d where ALE writes 3D)."""
    return {name.lower(): str(name) for name in envpool.list_all_envs()}[game.lower()]
