"""Plays guests one after the other in one thread, by Gymnasium's own `SyncVectorEnv`."""

import inspect
from contextlib import ExitStack, closing
from typing import Any

import gymnasium
import numpy as np
from gymnasium.vector import AutoresetMode, SyncVectorEnv
from numpy.typing import NDArray

from envs.episodes import EpisodeTracker
from envs.guest import RENDER_MODE, MakeGuest
from envs.guest.plain import Plain, told
from envs.seeds import game_seeds
from envs.spec import EnvSpec, EnvStep, check_action


class GuestRows:
    """A `VecEnvInPart` of guests; `lives` is 0 throughout.

    Gymnasium's `NEXT_STEP` is the suite's own order: a game begins on the row after its end, and
    the action sent for that end is discarded.

    Args:
        game: name, as registered.
        make: returns one environment.
        num_envs: B.
        seed: environment i plays its first game with seed + i, and draws later ones from there.

    Raises:
        ValueError: `make` returns no Gymnasium environment, one twice, or spaces that no policy
            takes.
    """

    def __init__(self, game: str, make: MakeGuest, num_envs: int, seed: int) -> None:
        self._envs = _make_all(game, make, num_envs)
        self.num_envs = num_envs
        seen, actions = self._envs.single_observation_space, self._envs.single_action_space
        assert isinstance(actions, gymnasium.spaces.Discrete)
        assert seen.shape is not None
        self.spec = EnvSpec(
            game=game,
            observation_shape=seen.shape,
            observation_dtype=str(seen.dtype),
            num_actions=int(actions.n),
            frame_skip=1,
        )
        self._seeds: list[int | None] = list(game_seeds(seed, num_envs))
        self._no_lives = np.zeros(num_envs, np.int32)
        self._left_out = np.zeros(num_envs, bool)
        self._episodes = EpisodeTracker(num_envs, "ignore")
        self._step: EnvStep | None = None

    def recv(self) -> EnvStep:
        """Returns the next row of every environment; the first call begins all games."""
        if self._step is None:
            observation, _ = self._envs.reset(seed=self._seeds)
            no_reward, no_end = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
            self._read(observation, no_reward, no_end, no_end.copy())
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
        observation, reward, terminated, truncated, _ = self._envs.step(action)
        self._read(observation, reward, terminated, truncated)

    def leave_out(self, rows: NDArray[np.bool_]) -> None:
        """Steps the guests of these rows [B] no more; see `VecEnvInPart`."""
        self._left_out = self._left_out | rows
        for guest, is_left_out in zip(self._envs.envs, self._left_out, strict=True):
            assert isinstance(guest, Plain)
            guest.is_left_out = bool(is_left_out)

    @property
    def render_fps(self) -> float | None:
        """Pictures a second that the guests say they are made for; None where they do not."""
        fps: float | None = self._envs.metadata.get("render_fps")
        return fps

    def render(self) -> NDArray[np.uint8] | None:
        """Returns the first guest's own picture [height, width, 3]; None where it draws none."""
        env = self._envs.envs[0]
        if env.render_mode != RENDER_MODE:
            return None
        try:
            picture = np.asarray(env.render())
        except gymnasium.error.DependencyNotInstalled:
            return None
        is_picture = picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[-1] == 3
        return picture if is_picture else None

    def close(self) -> None:
        """Releases the guests."""
        self._envs.close()

    def _read(
        self,
        observation: NDArray[np.generic],
        reward: NDArray[np.float64],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
    ) -> None:
        """Keeps the rows for what the guests report; Gymnasium hands out copies."""
        self._step = self._episodes.step(
            observation,
            reward.astype(np.float32),
            terminated | self._left_out,
            truncated,
            self._no_lives,
        )


def _make_all(game: str, make: MakeGuest, num_envs: int) -> SyncVectorEnv:
    """Makes the guests; where one is refused, closes all that there are."""
    with ExitStack() as opened:

        def make_plain() -> Plain:
            return Plain(game, opened.enter_context(closing(_make(game, make))))

        rows = SyncVectorEnv([make_plain] * num_envs, autoreset_mode=AutoresetMode.NEXT_STEP)
        if len({id(env.unwrapped) for env in rows.envs}) < num_envs:
            raise ValueError(f"{game} must return a new environment at every call, it repeats one")
        opened.pop_all()
    return rows


def _make(game: str, make: MakeGuest) -> "gymnasium.Env[Any, Any]":
    draws = "render_mode" in inspect.signature(make).parameters
    try:
        env: Any = make(render_mode=RENDER_MODE) if draws else make()
    except Exception as error:  # whatever code from outside raises
        raise ValueError(f"{game} makes no environment: {told(error)}") from error
    if not isinstance(env, gymnasium.Env):
        kind = type(env).__name__
        raise ValueError(f"{game} must return a Gymnasium environment, it returned {kind}")
    return env
