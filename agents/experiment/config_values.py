"""Settings as plain values and back: what config.yaml and checkpoints hold."""

from argparse import ArgumentError
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from jsonargparse import ArgumentParser

from agents.impala.config import TrainConfig


def config_values(config: TrainConfig) -> dict[str, Any]:
    """Returns a config as nested plain values."""
    return asdict(config)


def config_from_values(values: Mapping[str, Any]) -> TrainConfig:
    """Returns the config that plain values describe, checked like a config file.

    Raises:
        ValueError: an unknown key, a wrong type, or a value out of bounds.
    """
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(TrainConfig, "train")
    try:
        parsed = parser.parse_object({"train": dict(values)})
        config: TrainConfig = parser.instantiate(parsed).train
    except ArgumentError as error:
        raise ValueError(f"unusable settings: {error}") from None
    return config
