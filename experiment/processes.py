"""A run in several processes of this machine: refused before any is started, or started."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from experiment.device import refuse_missing_devices
from experiment.run import folder_of
from experiment.run_dir import read_config
from experiment.settings import settings_from_values, with_values
from experiment.trainable import Trainable


def train_in_processes(
    kind: type[Trainable],
    number: int,
    folder: Path | None,
    values: Mapping[str, Any],
    command: Sequence[str],
) -> tuple[int, Path]:
    """Trains in several processes of this machine.

    Args:
        kind: what is trained.
        number: of processes.
        folder: run folder to go on with; None begins a run.
        values: its settings, or those that change.
        command: a program of the repository and its arguments, for every process.

    Returns:
        The exit code of `launch`, and the run folder.

    Raises:
        ValueError: a setting cannot work with this number; nothing is started.
    """
    from experiment.launch import launch  # takes a while to import

    saved = {} if folder is None else read_config(folder)
    config = settings_from_values(kind.Config, with_values(saved, values))
    kind.refuse_uneven(config, number)
    refuse_missing_devices(config.device, number)
    path = folder or folder_of(kind, config)
    return launch(number, command), path
