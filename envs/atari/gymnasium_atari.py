"""Atari through gymnasium and ale-py, one emulator after the other.

Slower than envpool, with which it shares the emulator, the presets and the bookkeeping of episodes,
but no wrapper: evaluation uses it, so that a fault in one path shows against the other. The no-ops,
FIRE, step limit and lives follow envpool's rules; what still differs (random draws, the picture of
a game's very last step) is named in tests/test_envs_gymnasium_atari.py.
"""

from typing import Any

import ale_py
import gymnasium
import numpy as np
from gymnasium.wrappers import AtariPreprocessing
from numpy.typing import NDArray

from envs.atari.presets import FRAME_SKIP, PRESETS, AtariPreset, resolve_life_loss
from envs.config import EnvConfig
from envs.episodes import EpisodeTracker
from envs.seeds import game_seeds
from envs.spec import EnvSpec, EnvStep, check_action

SCREEN_HEIGHT = 210
Pixels = NDArray[np.uint8]


class GymnasiumAtari:
    """A `VecEnvInPart` that steps B ale-py emulators in lockstep.

    Args:
        game: canonical name, such as "Pong-v5".
        config: protocol and frames.
        num_envs: B.
        seed: environment i plays with seed + i.
    """

    def __init__(self, game: str, config: EnvConfig, num_envs: int, seed: int) -> None:
        gymnasium.register_envs(ale_py)
        ale_py.ALEInterface.setLoggerMode(ale_py.LoggerMode.Error)  # or it prints a banner
        preset = PRESETS[config.preset]
        self._envs = [_make_game(game, preset, config.frame_size) for _ in range(num_envs)]
        self.num_envs = num_envs
        actions = self._envs[0].action_space
        assert isinstance(actions, gymnasium.spaces.Discrete)
        shape = (config.frame_stack, config.frame_size, config.frame_size)
        self.spec = EnvSpec(
            game=game,
            observation_shape=shape,
            observation_dtype="uint8",
            num_actions=int(actions.n),
            frame_skip=FRAME_SKIP,
        )
        self._max_episode_steps = preset.max_episode_steps
        self._seeds: list[int | None] = list(game_seeds(seed, num_envs))
        self._frames: Pixels = np.zeros((num_envs, *shape), np.uint8)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._ended = np.ones(num_envs, bool)
        self._left_out = np.zeros(num_envs, bool)
        self._episodes = EpisodeTracker(num_envs, resolve_life_loss(config))
        self._step: EnvStep | None = None

    def recv(self) -> EnvStep:
        """Returns the next row of every environment; the first call begins all games."""
        if self._step is None:
            self._advance(np.zeros(self.num_envs, np.int64))
        assert self._step is not None
        return self._step

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers the last `recv` with action [B].

        Raises:
            ValueError: `recv` has not been called yet, or action is not [B].
        """
        if self._step is None:
            raise ValueError("send answers recv: call recv first")
        check_action(action, self.num_envs)
        self._advance(action)

    def leave_out(self, rows: NDArray[np.bool_]) -> None:
        """Steps the games of these rows [B] no more; see `VecEnvInPart`."""
        self._left_out = self._left_out | rows

    @property
    def action_names(self) -> list[str]:
        """What the emulator calls each action, such as "UPFIRE"."""
        names: list[str] = self._envs[0].unwrapped.get_action_meanings()  # type: ignore[attr-defined]
        return names

    def screen(self, index: int) -> Pixels:
        """Returns the emulator's last frame [height, width, 3] of one environment, in colour."""
        pixels: Pixels = self._envs[index].unwrapped.ale.getScreenRGB()  # type: ignore[attr-defined]
        return pixels

    def close(self) -> None:
        """Releases the emulators."""
        for env in self._envs:
            env.close()

    def _advance(self, action: NDArray[np.int64]) -> None:
        """Steps every game, or resets it where the row before ended it."""
        reward = np.zeros(self.num_envs, np.float32)
        game_over = self._left_out.copy()
        lives = np.zeros(self.num_envs, np.int32)
        frames = np.roll(self._frames, -1, axis=1)
        for i in np.flatnonzero(~self._left_out):
            env = self._envs[i]
            if self._ended[i]:
                frames[i], info = env.reset(seed=self._seeds[i])
                self._seeds[i] = None
                self._elapsed[i] = 0
            else:
                frames[i, -1], reward[i], game_over[i], _, info = env.step(int(action[i]))
                self._elapsed[i] += 1
            lives[i] = info["lives"]
        cut = self._elapsed >= self._max_episode_steps
        self._ended = game_over | cut
        self._frames = frames
        self._step = self._episodes.step(frames, reward, game_over, cut, lives)


def _make_game(game: str, preset: AtariPreset, frame_size: int) -> "gymnasium.Env[Pixels, Any]":
    """Makes one game whose step is `FRAME_SKIP` frames and whose observation is the last one."""
    raw = gymnasium.make(
        f"ALE/{game}",
        obs_type="ram",  # AtariPreprocessing asks the emulator itself for the frames that it needs
        frameskip=1,
        repeat_action_probability=preset.repeat_action_probability,
        full_action_space=preset.full_action_space,
        max_num_frames_per_episode=0,
        disable_env_checker=True,
    )
    begun = GameStart(raw, preset.noop_max, preset.fire_reset)
    return TopOfScreen(begun, frame_size)


class TopOfScreen(AtariPreprocessing):
    """Sees the lines that envpool reads of every screen; those of 13 games have more.

    Args:
        env: a game with one raw frame per step, whatever it says of that frame.
        frame_size: side of what is seen, in pixels.
    """

    def __init__(self, env: "gymnasium.Env[Pixels, Any]", frame_size: int) -> None:
        super().__init__(env, noop_max=0, frame_skip=FRAME_SKIP, screen_size=frame_size)
        self.obs_buffer = [np.empty(self.ale.getScreenDims(), np.uint8) for _ in range(2)]

    def _get_obs(self) -> Pixels:
        screens = self.obs_buffer
        self.obs_buffer = [screen[:SCREEN_HEIGHT] for screen in screens]
        pixels: Pixels = super()._get_obs()  # type: ignore[no-untyped-call]
        self.obs_buffer = screens
        return pixels


class GameStart(gymnasium.Wrapper[Pixels, Any, Pixels, Any]):
    """Begins every game as envpool does: random no-ops, then one raw frame of FIRE.

    Args:
        env: a game with one raw frame per step.
        noop_max: the number of no-ops is uniform in 1 to noop_max, less one where FIRE follows.
        fire_reset: press FIRE where the game has it.
    """

    def __init__(self, env: "gymnasium.Env[Pixels, Any]", noop_max: int, fire_reset: bool) -> None:
        super().__init__(env)
        meanings = env.unwrapped.get_action_meanings()  # type: ignore[attr-defined]
        self._noop_max = noop_max
        self._fire = meanings.index("FIRE") if fire_reset and "FIRE" in meanings else None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Pixels, dict[str, Any]]:
        """Begins a game; `seed` makes its draws, and those of later games, reproducible."""
        observation, info = self.env.reset(seed=seed, options=options)
        num_noops = int(self.np_random.integers(self._noop_max)) + (self._fire is None)
        for action in [0] * num_noops + [self._fire] * (self._fire is not None):
            observation, _, game_over, _, info = self.env.step(action)
            if game_over:
                observation, info = self.env.reset(options=options)
        return observation, info
