"""Settings as plain values and back: what config.yaml and checkpoints hold."""

from argparse import ArgumentError
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from jsonargparse import ArgumentParser

from agents.experiment.arguments import fields_of
from agents.impala.config import TrainConfig


def config_values(config: TrainConfig) -> dict[str, Any]:
    """Returns a config as nested plain values."""
    return asdict(config)


def flat_values(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Returns nested values by their full names, such as "learner.discount"."""
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            flat |= flat_values(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat


def settings_parser(description: str) -> ArgumentParser:
    """Returns a parser of every setting, and of `--config`, a file of them."""
    parser = ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)
    parser.add_argument("--config", action="config", help="YAML file of settings")
    parser.add_class_arguments(TrainConfig)
    return parser


def config_from_arguments(parser: ArgumentParser, arguments: Sequence[str]) -> TrainConfig:
    """Returns the config that arguments of `train` resolve to.

    Raises:
        ArgumentError: an unknown name or a wrong type.
        ValueError: a value out of bounds.
    """
    return fields_of(TrainConfig, parser.instantiate(parser.parse_args(list(arguments))))


def config_from_values(values: Mapping[str, Any]) -> TrainConfig:
    """Returns the config that plain values describe, checked like a config file.

    Raises:
        ValueError: an unknown key, a wrong type, or a value out of bounds.
    """
    for name in ("env", "core", "learner"):  # text would be taken for the path of a file
        if not isinstance(values.get(name, {}), Mapping):
            raise ValueError(f"unusable settings: {name} must hold settings by name")
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig, "train")
    try:
        parsed = parser.parse_object({"train": dict(values)})
        config: TrainConfig = parser.instantiate(parsed).train
    except (ArgumentError, AttributeError, TypeError, KeyError, RecursionError) as error:
        raise ValueError(f"unusable settings: {error}") from None
    return config
