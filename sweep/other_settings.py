"""Whether a run that is there is the one that is planned."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from agents.impala.config import TrainConfig, config_from_values
from experiment.run_dir import read_config
from experiment.settings import flat_values, plain_values
from models.cores import resolved


def refuse_other_settings(path: Path, planned: TrainConfig) -> None:
    """Raises ValueError where a folder holds a run of other settings than planned."""
    if not (path / "config.yaml").exists():
        return
    for name, had, asked in differences(config_from_values(read_config(path)), planned):
        raise ValueError(
            f"{path} holds a run with {name} {had}, the sweep has {asked}; choose another --out"
        )


def differences(config: TrainConfig, planned: TrainConfig) -> Iterator[tuple[str, Any, Any]]:
    """Yields every setting that a run has otherwise than planned, with its value and the plan's."""
    config = replace(config, core=resolved(config.core))
    saved = flat_values(plain_values(config))
    wanted = flat_values(plain_values(planned)) | {"run_dir": saved["run_dir"]}
    if planned.encoder.kind == "auto":
        del wanted["encoder.kind"]  # which one it came to depends on the game
    if planned.core.parameters is not None:  # as do these
        del wanted["core.hidden_size"], wanted["core.feedforward_size"]
    for name, value in wanted.items():
        if saved.get(name) != value:
            yield name, saved.get(name), value
