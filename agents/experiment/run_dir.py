"""The folder of one run: who may write it, what it holds, how the run ended.

`config.yaml` (resolved), `provenance.json`, `status.json`, `metrics.jsonl`, `tensorboard/`,
`checkpoints/`, `evaluation/`. One process at a time trains in it.
"""

import fcntl
from pathlib import Path
from typing import Any, Literal

import yaml

from agents.experiment.files import write_atomically, write_json
from agents.experiment.provenance import provenance

Status = Literal["running", "finished", "stopped", "failed"]


class RunDir:
    """A run folder that this process trains in; `close` lets others do so.

    Args:
        path: an existing folder with a config.yaml.

    Raises:
        ValueError: it is no run folder, or another process trains in it.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        read_config(path)
        self._lock = (path / ".lock").open("w")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            self._lock.close()
            raise ValueError(f"{path} is being trained by another process") from None

    @classmethod
    def create(cls, path: Path, config: dict[str, Any]) -> "RunDir":
        """Makes the folder of a new run.

        Args:
            path: where; must not exist, or be empty.
            config: the resolved settings, as plain values.

        Raises:
            ValueError: something is there already.
        """
        cls.refuse_used(path)
        path.mkdir(parents=True, exist_ok=True)
        write_atomically(path / "config.yaml", yaml.safe_dump(config, sort_keys=False).encode())
        write_json(path / "provenance.json", provenance())
        return cls(path)

    @staticmethod
    def refuse_used(path: Path) -> None:
        """Raises ValueError where something is there already."""
        if path.exists() and (not path.is_dir() or any(path.iterdir())):
            raise ValueError(
                f"{path} exists already; continue it with --resume {path}, "
                "or choose another --run_dir"
            )

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / "checkpoints"

    def set_status(self, status: Status, why: str = "") -> None:
        """Records where the run stands."""
        write_json(self.path / "status.json", {"status": status, "why": why})

    def close(self) -> None:
        """Lets another process train here."""
        self._lock.close()


def read_config(path: Path) -> dict[str, Any]:
    """Returns the settings of a run folder as plain values.

    Raises:
        ValueError: there is no config.yaml, or it is not YAML settings.
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise ValueError(f"{path} is no run folder: it has no config.yaml")
    try:
        config = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold settings by name, got {type(config).__name__}")
    return config
