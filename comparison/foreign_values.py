"""Values from files that may come from anyone: what they must be is checked where they are read."""

from pathlib import Path
from typing import Any

from experiment.files import read_json

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
