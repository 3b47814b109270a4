"""Gymnasium's spaces as the suite's: one array to see, one number to answer with.

An image, a uint8 Box [height, width] or [height, width, channels], stays an image, channels first.
Everything else becomes one float32 vector by Gymnasium's `flatten`: numbers as they are, discrete
ones as one-hot. An image beside other observations is flattened with them, from 0 to 1.
"""

from collections.abc import Callable, Iterator
from functools import reduce
from operator import getitem
from typing import Any

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
    parts = [part for _, part in _parts(space)]
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


def check_observation(game: str, space: Space, observation: Any) -> None:
    """Checks what a guest shows, which a reader would cast and reshape whatever it is.

    Raises:
        ValueError: it has another shape than its space, or fractions where that has whole numbers.
    """
    for keys, part in _parts(space):
        name = "".join(["observation", *(f"[{key!r}]" for key in keys)])
        try:
            shown = np.asarray(reduce(getitem, keys, observation))
        except (LookupError, TypeError, ValueError) as error:
            raise ValueError(f"{game}: {name} cannot be read: {error!r}") from error
        assert part.dtype is not None
        kinds = "biuf" if part.dtype.kind == "f" else "biu"
        if shown.shape != part.shape or shown.dtype.kind not in kinds:
            raise ValueError(
                f"{game}: {name} is {shown.dtype} {shown.shape}, its space says "
                f"{part.dtype} {part.shape}"
            )


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


def _parts(space: Space, keys: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Space]]:
    """Yields the parts of a space, each with its keys, in the order of Gymnasium's `flatten`."""
    if isinstance(space, spaces.Dict | spaces.Tuple):
        inner = space.spaces
        for key, part in inner.items() if isinstance(inner, dict) else enumerate(inner):
            yield from _parts(part, (*keys, key))
    else:
        yield keys, space


def _is_image(space: Space) -> bool:
    return (
        isinstance(space, spaces.Box)
        and space.dtype == np.uint8
        and len(space.shape) in (2, 3)
        and _channels_first(space.shape)[0][0] <= MAX_CHANNELS
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

    The channels are the first or the last axis: the one beside two equal ones, or else the shorter;
    of equals, the last.
    """
    if len(shape) == 2:
        return (1, *shape), (0, 1)
    first, middle, last = shape
    if first != middle and (middle == last or first < last):
        return shape, (0, 1, 2)
    return (last, first, middle), (2, 0, 1)
