"""Values from files that may come from anyone: what they must be is checked where they are read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from experiment.files import read_json

Kind = TypeVar("Kind")
KINDS: dict[type, str] = {dict: "an object", list: "a list"}
MAX_NUMBER = 1e15  # beyond it a float no longer counts frames exactly


def finite(value: Any, name: str, where: str) -> float:
    """Returns a number that is one.

    Raises:
        ValueError: it is missing, no number, infinite or not a number.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (is_number and abs(value) < MAX_NUMBER):  # false for NaN too
        raise ValueError(f"{where}: {name} must be a finite number, got {repr(value)[:80]}")
    return float(value)


def finite_numbers(values: Any, name: str, where: str) -> NDArray[np.float64]:
    """Returns a list of such numbers as an array.

    Raises:
        ValueError: it is no list, or something in it is none.
    """
    if not isinstance(values, list):
        raise ValueError(f"{where}: {name} must be a list of numbers, got {repr(values)[:80]}")
    return np.array([finite(value, name, where) for value in values], dtype=np.float64)


def part(values: Mapping[str, Any], name: str, kind: type[Kind], where: str) -> Kind:
    """Returns a part of an object.

    Raises:
        ValueError: it is missing, or of another kind.
    """
    value = values.get(name)
    if not isinstance(value, kind):
        raise ValueError(f"{where}: {name} must be {KINDS[kind]}, got {repr(value)[:80]}")
    return value


def json_object(path: Path) -> dict[str, Any]:
    """Returns the object that a JSON file holds.

    Raises:
        ValueError: it is no JSON, too large, or holds something else.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise ValueError(f"{path} must hold a JSON object, got {type(value).__name__}")
    return value


def optional_json(path: Path) -> dict[str, Any]:
    """Returns the same, {} where there is no file."""
    return json_object(path) if path.exists() else {}
