"""Own settings of a kind, such as a core: plain values checked against a declared dataclass."""

from collections.abc import Mapping
from dataclasses import MISSING, Field, fields
from difflib import get_close_matches
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

Value = bool | int | float | str | None


def complete(
    kind: str, declared: type[Any] | None, given: Mapping[str, Value], prefix: str = "core.args"
) -> dict[str, Value]:
    """Returns a value for every own setting of a kind such as a core: the given one or its default.

    Args:
        kind: whose settings, for messages.
        declared: dataclass of its own settings; None where it has none.
        given: values by name.
        prefix: what stands before a name on the command line.

    Raises:
        ValueError: an unknown name, a missing one, or a value of another type than declared.
    """
    known = {field.name: field for field in fields(declared)} if declared else {}
    for name in given.keys() - known.keys():
        close = get_close_matches(name, known, n=1, cutoff=0.4)
        hint = f"; close: {prefix}.{close[0]}" if close else ""
        takes = f"it takes {', '.join(known)}" if known else "it has no settings of its own"
        raise ValueError(f"{kind} has no {prefix}.{name}: {takes}{hint}")
    if declared is None:
        return {}
    hints = get_type_hints(declared)
    values = {
        name: _checked(
            f"{prefix}.{name}",
            hints[name],
            given[name] if name in given else _default(kind, field, prefix),
        )
        for name, field in known.items()
    }
    declared(**values)  # its own bounds, or it raises
    return values


def _default(kind: str, field: Field[Any], prefix: str) -> Value:
    if field.default is MISSING:
        raise ValueError(f"{kind} needs {prefix}.{field.name}")
    default: Value = field.default
    return default


def _checked(name: str, hint: Any, value: Value) -> Value:
    """Returns a value, a whole number as a float where one is declared.

    Raises:
        ValueError: it is not of the type declared.
    """
    if not _fits(value, hint):
        close = get_close_matches(str(value), map(str, get_args(hint)), n=1)
        given = f"got {value!r}" + (f"; close: {close[0]}" if close else "")
        raise ValueError(f"{name} must be {_described(hint)}, {given}")
    return float(value) if hint is float and value is not None else value


def _fits(value: Value, hint: Any) -> bool:
    """Returns whether a value is of a type; of one that is no plain value, any is."""
    if get_origin(hint) in (Union, UnionType):
        return any(_fits(value, option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return any(type(value) is type(option) and value == option for option in get_args(hint))
    if hint is float:
        return type(value) in (float, int)
    return hint not in (bool, int, str, NoneType) or type(value) is hint


def _described(hint: Any) -> str:
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_described(option) for option in get_args(hint))
    if get_origin(hint) is Literal:
        return "one of " + ", ".join(map(str, get_args(hint)))
    return "null" if hint is NoneType else str(getattr(hint, "__name__", hint))
