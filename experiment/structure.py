"""Whether values read from a file have the structure that the code which reads them relies on."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

MAX_COUNT = 2**48  # so that products of counts fit in 64 bits
ANY = object()
"""Stands for a part that may be anything."""


@dataclass(frozen=True)
class ListOf:
    """Stands for a list of any length whose parts are built like one."""

    part: Any


def check_like(value: Any, like: Any, at: str) -> None:
    """Raises ValueError, naming the first place, where a value is not built like another one.

    Mappings must have the same keys, lists and tuples the same length, tensors the same dtype and
    shape, and everything else the same type. Integers are counts here, up to MAX_COUNT.

    Args:
        value: a tree of tensors and plain values, from a file.
        like: a tree as it should be; the values of its tensors and numbers do not matter.
        at: name of the value, for the message.
    """
    if like is ANY:
        return
    if isinstance(like, ListOf) and _is_list(value):
        like = [like.part] * len(value)
    if isinstance(like, Mapping) and isinstance(value, Mapping):
        if missing := like.keys() - value.keys():
            raise ValueError(f"{at} has no {_names(missing)}")
        if foreign := value.keys() - like.keys():
            raise ValueError(f"{at} must not hold {_names(foreign)}")
        for name, part in like.items():
            check_like(value[name], part, f"{at}.{name}")
    elif _is_list(like) and _is_list(value):
        if len(value) != len(like):
            raise ValueError(f"{at} must hold {len(like)} values, got {len(value)}")
        for index, part in enumerate(like):
            check_like(value[index], part, f"{at}[{index}]")
    elif _described(value) != _described(like):
        raise ValueError(f"{at} must be {_described(like)}, got {_described(value)}")
    elif isinstance(value, int) and not 0 <= value <= MAX_COUNT:
        raise ValueError(f"{at} must be in 0 to {MAX_COUNT}, got {value}")


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str)


def _described(value: Any) -> str:
    """Returns the type of a value, and the shape of a tensor."""
    if isinstance(value, Tensor):
        return f"{value.dtype} {list(value.shape)}"
    if isinstance(value, Mapping):
        return "values by name"
    return "a list" if isinstance(value, ListOf) or _is_list(value) else type(value).__name__


def _names(names: Iterable[Any], most: int = 8) -> str:
    """Returns some names, or of many of them the first ones."""
    texts = sorted(map(str, names))
    more = f" and {len(texts) - most} more" if len(texts) > most else ""
    return ", ".join(texts[:most]) + more
