"""From parsed command lines to the dataclasses that hold settings."""

from dataclasses import fields
from typing import TypeVar

from jsonargparse import Namespace

Settings = TypeVar("Settings")


def fields_of(kind: type[Settings], parsed: Namespace) -> Settings:
    """Returns a dataclass made from the parsed arguments of its fields' names."""
    return kind(**{field.name: parsed[field.name] for field in fields(kind)})  # type: ignore[arg-type]
