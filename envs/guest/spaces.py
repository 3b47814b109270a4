"""Gymnasium's spaces as the suite's: one array to see, one number to answer with.

An image, a uint8 Box [height, width] or [height, width, channels], stays an image, channels first.
Everything else becomes one float32 vector by Gymnasium's `flatten`: numbers as they are, discrete
ones as one-hot. An image beside other observations is flattened with them, from 0 to 1.
"""

from collections.abc import Callable, Iterator
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

MAX_ACTIONS = 1024
MAX_FEATURES = 2**16
"""Numbers in a vector: the one-hot of a large Discrete would be larger than any memory."""
MAX_CHANNELS = 16
OBSERVATIONS = "Box, Discrete, MultiDiscrete, and Tuple or Dict of these"
ACTIONS = f"Discrete, and MultiDiscrete of at most {MAX_ACTIONS:,} combinations"
Space = spaces.Space[Any]
See = Callable[[Any], NDArray[np.generic]]
Answer = Callable[[int], Any]


def observation_reader(game: str, space: Space) -> tuple[spaces.Box, See]:
    """Returns the space that the policy sees, and what makes its arrays of observations.

    Raises:
        ValueError: no encoder takes such observations; the message says what is accepted.
    """
    parts = list(_parts(space))
    for part in parts:
        if not isinstance(part, spaces.Box | spaces.Discrete | spaces.MultiDiscrete):
            raise ValueError(
                f"{game} gives observations in {part}, which no encoder takes; there are "
                f"encoders for {OBSERVATIONS}"
            )
    if len(parts) == 1 and _is_image(parts[0]):
        return _image_reader(space, parts[0])
    num_features = spaces.flatdim(space)
    if not 1 <= num_features <= MAX_FEATURES:
        raise ValueError(
            f"{game} gives observations that are {num_features:,} numbers once discrete ones are "
            f"one-hot; 1 to {MAX_FEATURES:,} are accepted, and more only as one image"
        )
    scale = np.concatenate([np.full(spaces.flatdim(part), _scale(part)) for part in parts])
    scale = scale.astype(np.float32)

    def see(observation: Any) -> NDArray[np.generic]:
        seen = np.asarray(spaces.flatten(space, observation), np.float32)
        scaled: NDArray[np.float32] = seen * scale
        return scaled

    return spaces.Box(-np.inf, np.inf, (num_features,), np.float32), see


def action_writer(game: str, space: Space) -> tuple[int, Answer]:
    """Returns how many actions there are, and what makes the guest's action of each number.

    Raises:
        ValueError: the policy cannot choose among such actions; the message says what is accepted.
    """
    if isinstance(space, spaces.Discrete) and space.n <= MAX_ACTIONS:
        first, of = space.start, space.dtype.type
        return int(space.n), lambda action: of(first + action)
    if isinstance(space, spaces.MultiDiscrete):
        sizes, begin = space.nvec.flatten(), space.start
        count = int(np.prod(sizes, dtype=object))
        if count <= MAX_ACTIONS:
            answers = [
                (np.array(np.unravel_index(i, sizes)).reshape(begin.shape) + begin).astype(
                    space.dtype
                )
                for i in range(count)
            ]
            return count, lambda action: answers[action].copy()
    raise ValueError(f"{game} takes actions in {space}; accepted are {ACTIONS}")


def _parts(space: Space) -> Iterator[Space]:
    """Yields what a space consists of, in the order of Gymnasium's `flatten`."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        for part in inner:
            yield from _parts(part)
    else:
        yield space


def _is_image(space: Space) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and (len(space.shape) == 2 or (len(space.shape) == 3 and min(space.shape) <= MAX_CHANNELS))
    )


def _scale(space: Space) -> float:
    return 1 / 255 if _is_image(space) else 1.0


def _image_reader(space: Space, image: Space) -> tuple[spaces.Box, See]:
    """Returns the reader of an image, which may be alone in a Tuple or a Dict."""
    shape = image.shape
    assert shape is not None
    planes, height_first = _channels_first(shape)

    def see(observation: Any) -> NDArray[np.generic]:
        pixels = np.reshape(np.asarray(spaces.flatten(space, observation)), shape)
        return np.ascontiguousarray(pixels.transpose(height_first).reshape(planes))

    return spaces.Box(0, 255, planes, np.uint8), see


def _channels_first(shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns [channels, height, width] of an image, and the order that its axes take.

    The channels are the shorter of the first and the last axis; of equals, the last.
    """
    if len(shape) == 2:
        return (1, *shape), (0, 1)
    if shape[0] < shape[-1]:
        return shape, (0, 1, 2)
    return (shape[2], shape[0], shape[1]), (2, 0, 1)


class Plain(gymnasium.Wrapper[Any, Any, Any, Any]):
    """A guest with one array to see and one number to answer with; its info is left out.

    Attributes:
        is_left_out: the guest is asked nothing more; what it showed last is handed out again.
    """

    def __init__(self, game: str, env: "gymnasium.Env[Any, Any]") -> None:
        super().__init__(env)
        self.observation_space, self._see = observation_reader(game, env.observation_space)
        num_actions, self._answer = action_writer(game, env.action_space)
        self.action_space = spaces.Discrete(num_actions)
        self.is_left_out = False
        self._seen: NDArray[np.generic] | None = None

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begins a game."""
        if not self.is_left_out:
            observation, _ = self.env.reset(seed=seed, options=options)
            self._seen = self._see(observation)
        return self._seen, {}

    def step(self, action: Any) -> tuple[Any, Any, bool, bool, dict[str, Any]]:
        """Takes action number `action`."""
        if self.is_left_out:
            return self._seen, 0.0, True, False, {}
        observation, reward, terminated, truncated, _ = self.env.step(self._answer(int(action)))
        self._seen = self._see(observation)
        return self._seen, reward, bool(terminated), bool(truncated), {}
