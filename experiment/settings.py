"""Settings as plain values and back: what config.yaml and checkpoints hold."""

from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, is_dataclass
from functools import cache
from types import NoneType
from typing import Any, TypeVar, get_args, get_type_hints

import yaml
from jsonargparse import ArgumentParser, get_loader, set_loader

from experiment.arguments import fields_of, in_order

Settings = TypeVar("Settings")


_load_yaml = get_loader("yaml")


def load_yaml(text: str) -> Any:
    """Returns the value of YAML, whose whole numbers may be written as 6e6, and infinity as inf."""
    return _as_meant(_load_yaml(text))


def _as_meant(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _as_meant(inner) for name, inner in value.items()}
    if isinstance(value, float) and value.is_integer():
        return int(value)  # a field of real numbers takes it too
    return float(value) if value in ("inf", "-inf") else value


set_loader("yaml", load_yaml, exceptions=(yaml.YAMLError,), json_superset=True)


def plain_values(settings: Any) -> dict[str, Any]:
    """Returns a dataclass of settings as nested plain values."""
    return asdict(settings)


def flat_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested values by their full names, such as "learner.discount"."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_values(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def nested_values(flat: Mapping[str, Any]) -> dict[str, Any]:
    """Returns values by their full names as `flat_values` found them.

    Raises:
        ValueError: a name leads into another name's value.
    """
    nested: dict[str, Any] = {}
    for name, value in flat.items():
        *parents, last = name.split(".")
        inner = nested
        for parent in parents:
            inner = inner.setdefault(parent, {})
            if not isinstance(inner, dict):
                raise ValueError(f"unusable settings: {name} leads into a value")
        inner[last] = value
    return nested


def with_values(values: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """Returns nested values with some of them replaced."""
    replaced = {
        name: with_values(values.get(name, {}), value) if isinstance(value, Mapping) else value
        for name, value in given.items()
    }
    return dict(values) | replaced


def settings_parser(kind: type[Any], description: str) -> ArgumentParser:
    """Returns a parser of every setting of a dataclass, and of `--config`, a file of them."""
    parser = ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file of settings")
    parser.add_class_arguments(kind)
    return parser


def settings_from_arguments(
    kind: type[Settings], parser: ArgumentParser, arguments: Sequence[str]
) -> Settings:
    """Returns the settings that arguments of `settings_parser` resolve to.

    Raises:
        ArgumentError: an unknown name or a wrong type.
        ValueError: a value out of bounds.
    """
    return fields_of(kind, parser.instantiate(parser.parse_args(in_order(arguments))))


def given_values(
    kind: type[Any], parser: ArgumentParser, arguments: Sequence[str]
) -> dict[str, Any]:
    """Returns the settings that arguments of `settings_parser` name, nested, without defaults.

    Raises:
        ArgumentError: an unknown name or a wrong type.
        ValueError: they name a file of settings.
    """
    given = parser.parse_args(in_order(arguments), defaults=False).as_dict()
    if "config" in given:
        raise ValueError("--config begins a run; one that goes on takes single settings as flags")
    return {field.name: given[field.name] for field in fields(kind) if field.name in given}


def settings_from_values(kind: type[Settings], values: Mapping[str, Any]) -> Settings:
    """Returns the settings that plain values describe, checked like a config file.

    Raises:
        ValueError: an unknown key, a wrong type, or a value out of bounds.
    """
    for name, of in get_type_hints(kind).items():  # text would be taken for the path of a file
        if is_dataclass(of) and not isinstance(values.get(name, {}), Mapping):
            raise ValueError(f"unusable settings: {name} must hold settings by name")
    parser = _values_parser(kind)  # type: ignore[arg-type]  # a class can be hashed
    try:
        parsed = parser.parse_object({"settings": dict(values)})
        settings: Settings = parser.instantiate(parsed).settings
    except (ArgumentError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"unusable settings: {error}") from None
    _refuse_null(settings)
    return settings


@cache
def _values_parser(kind: type[Any]) -> ArgumentParser:
    """Returns a parser of settings below the name `settings`, built once: that takes a while."""
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(kind, "settings")
    return parser


def _refuse_null(settings: Any, prefix: str = "") -> None:
    """Raises ValueError where a field is None and may not be, which `parse_object` lets pass."""
    kinds = get_type_hints(type(settings))
    for field in fields(settings):
        value, name = getattr(settings, field.name), f"{prefix}{field.name}"
        if is_dataclass(value):
            _refuse_null(value, f"{name}.")
        elif value is None and NoneType not in get_args(kinds[field.name]):
            raise ValueError(f"unusable settings: {name} must have a value, got null")
