"""What an environment is to the rest of the suite: `EnvSpec`, `EnvStep`, the `VecEnv` protocol.

A `VecEnv` steps B environments in lockstep: `recv` hands out one row per environment, always
all of them in order, and `send` answers it with one action each.

Auto-reset happens on the step *after* an end: the terminal observation arrives with its flags,
the action sent for it is discarded, and the next observation (reward 0, `start`) opens the new
game. The row of a terminal observation therefore carries no action that happened; see `valid`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

MAX_SYMBOLS = 256
"""Values of a uint8."""


@dataclass(frozen=True, kw_only=True, slots=True)
class EnvSpec:
    """What a policy must know of an environment.

    Args:
        game: canonical name, such as "Pong-v5" or "tmaze".
        observation_shape: shape of one observation, without the batch.
        observation_dtype: "uint8" (pixels, 0 to 255, or symbols) or "float32".
        symbols: of a vector of symbols, how many values each entry can have, 0 upwards; empty
            where an observation is none.
        num_actions: size of the discrete action set.
        frame_skip: emulator frames per agent step; 1 where there is no emulator.
    """

    game: str
    observation_shape: tuple[int, ...]
    observation_dtype: str
    num_actions: int
    frame_skip: int
    symbols: tuple[int, ...] = ()

    def values(self) -> dict[str, Any]:
        """Returns plain values, which a file can hold and `spec_from_values` reads."""
        lists = {"observation_shape": list(self.observation_shape), "symbols": list(self.symbols)}
        return asdict(self) | lists


def check_action(action: NDArray[np.integer[Any]], num_envs: int) -> None:
    """Raises ValueError where actions are not one for each environment."""
    if action.shape != (num_envs,):
        raise ValueError(f"action must be [B] = {(num_envs,)}, got {action.shape}")


def spec_from_values(values: Mapping[str, Any]) -> EnvSpec:
    """Returns the spec that values from a file describe.

    Raises:
        KeyError, TypeError: a value is missing or no list.
        ValueError: no environment can have such observations or sizes.
    """
    shape, symbols = values["observation_shape"], values.get("symbols", ())
    tuples = {"observation_shape": tuple(shape), "symbols": tuple(symbols)}
    spec = EnvSpec(**{**values, **tuples})
    sizes = (*spec.observation_shape, spec.num_actions, spec.frame_skip, *spec.symbols)
    if any(type(size) is not int or size < 1 for size in sizes):
        raise ValueError(f"sizes must be counts, got {sizes}")
    if any(count > MAX_SYMBOLS for count in spec.symbols):
        raise ValueError(f"there are at most {MAX_SYMBOLS} symbols, got {max(spec.symbols)}")
    if spec.observation_dtype not in ("uint8", "float32") or not isinstance(spec.game, str):
        raise ValueError(f"no such observations: {spec.game!r}, {spec.observation_dtype!r}")
    return spec


class EnvStep(NamedTuple):
    """One row per environment: what the action before led to."""

    observation: NDArray[np.generic]  # [B, *observation_shape] in the spec's dtype
    reward: NDArray[np.float32]  # [B] raw, earned by the action before
    start: NDArray[np.bool_]  # [B] memory begins anew at this observation
    terminated: NDArray[np.bool_]  # [B] no value follows: game over, or a life that counts was lost
    truncated: NDArray[np.bool_]  # [B] cut by the step limit; a value follows
    game_over: NDArray[np.bool_]  # [B] the game itself ended
    lives: NDArray[np.int32]  # [B] lives left; 0 where the game has none

    @property
    def valid(self) -> NDArray[np.bool_]:
        """[B] False on the row of a terminal observation: no action taken there happens."""
        return ~(self.game_over | self.truncated)


class VecEnv(Protocol):
    """B environments stepped in lockstep."""

    spec: EnvSpec
    num_envs: int

    def recv(self) -> EnvStep:
        """Returns the next row of every environment; the first call begins all games."""

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers the last `recv` with action [B]."""

    def close(self) -> None:
        """Releases what the environments hold."""


@runtime_checkable
class StatefulVecEnv(VecEnv, Protocol):
    """A `VecEnv` whose state can be saved, so that training resumes bit for bit."""

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns copies of everything the next `recv` or `send` depends on."""

    def load_state_dict(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            ValueError: the state is of another task or size.
        """


@runtime_checkable
class VecEnvInPart(VecEnv, Protocol):
    """A `VecEnv` that can go on with some of its environments alone."""

    def leave_out(self, rows: NDArray[np.bool_]) -> None:
        """Steps the environments of these rows [B] no more.

        Their rows say from then on that the game is over, with no reward; their actions are unread.
        """
