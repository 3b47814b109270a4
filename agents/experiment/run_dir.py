"""The folder of a run: what lies where in it, who may write to it, and how the run stands.

config.yaml       the resolved config           metrics.jsonl   one row per log
provenance.json   code, versions, machine       tensorboard/    the same rows for TensorBoard
status.json       running, stopped, ...         checkpoints/    the newest few
.lock             held while a run is training  evaluation/     one file per evaluation
"""

import fcntl
import json
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

import yaml

from agents.experiment.checkpoint import Checkpoint, CheckpointFolder
from agents.experiment.files import remove_temporaries, write_atomically
from agents.experiment.provenance import provenance

State = Literal["running", "stopped", "finished", "failed"]
LOCK = ".lock"


class RunDir:
    """A run folder that this process alone may train in; use `create` or `resume`.

    As a context manager it notes an exception in `status.json` and gives the folder free.

    Args:
        path: the folder; exists and is locked.
        lock: descriptor that holds the lock.
        keep_checkpoints: newest checkpoints kept.
    """

    def __init__(self, path: Path, lock: int, keep_checkpoints: int) -> None:
        self.path = path
        self.metrics_path = path / "metrics.jsonl"
        self.tensorboard_path = path / "tensorboard"
        self._lock = lock
        self._checkpoints = CheckpointFolder(path / "checkpoints", keep_checkpoints)

    @classmethod
    def create(cls, path: Path | str, config: Mapping[str, Any], keep_checkpoints: int = 3) -> Self:
        """Makes the folder of a new run, with its config and provenance.

        Args:
            path: must not exist, or be empty.
            config: the resolved config as plain dicts, lists, numbers and strings.
            keep_checkpoints: newest checkpoints kept.

        Raises:
            ValueError: there is something already, or another process is making a run there.
        """
        path = Path(path)
        _refuse_used(path)
        path.mkdir(parents=True, exist_ok=True)
        lock = _lock(path)
        try:
            _refuse_used(path)  # again, now that nobody else can
            (path / "checkpoints").mkdir()
            text = json.dumps(provenance(), indent=2) + "\n"
            write_atomically(path / "provenance.json", text.encode())
            config_text = yaml.safe_dump(dict(config), sort_keys=False)
            write_atomically(path / "config.yaml", config_text.encode())
        except BaseException:
            os.close(lock)
            raise
        run_dir = cls(path, lock, keep_checkpoints)
        run_dir.set_status("running")
        return run_dir

    @classmethod
    def resume(cls, path: Path | str, keep_checkpoints: int = 3) -> Self:
        """Takes over the folder of a run that stopped.

        Raises:
            ValueError: it is no run folder, or another process is training in it.
        """
        path = Path(path)
        read_config(path)
        lock = _lock(path)
        for folder in (path, path / "checkpoints"):
            remove_temporaries(folder)
        run_dir = cls(path, lock, keep_checkpoints)
        run_dir.set_status("running")
        return run_dir

    def checkpoint(self, num_updates: int, payload: Mapping[str, Any]) -> Path:
        """Writes a checkpoint; see `save_checkpoint` for what a payload may hold."""
        return self._checkpoints.save(num_updates, payload)

    def latest_checkpoint(self) -> Checkpoint | None:
        """Reads the newest whole checkpoint; None where the run never came to write one."""
        return self._checkpoints.latest()

    def set_status(self, state: State, why: str | None = None) -> None:
        """Notes how the run stands and, if it does not run, why."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        status = {"state": state, "why": why, "since": now}
        write_atomically(self.path / "status.json", (json.dumps(status, indent=2) + "\n").encode())

    def close(self) -> None:
        """Gives the folder free."""
        os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        try:
            if error is not None:
                self.set_status("failed", f"{type(error).__name__}: {error}")
        finally:
            self.close()


def read_config(path: Path) -> dict[str, Any]:
    """Returns the config of a run folder as plain values.

    Raises:
        ValueError: it is no run folder, or its config is no YAML mapping.
    """
    file = path / "config.yaml"
    if not file.is_file():
        hint = "is no run folder: it has no config.yaml" if path.exists() else "does not exist"
        raise ValueError(f"{path} {hint}; start a run with --run_dir {path}")
    try:
        config = yaml.safe_load(file.read_text())
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not YAML: {' '.join(str(error).split())}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} must be a mapping of settings, got {type(config).__name__}")
    return config


def _refuse_used(path: Path) -> None:
    """Raises ValueError where something other than a lock lies in the way."""
    if path.exists() and not path.is_dir():
        raise ValueError(f"run_dir {path} is a file; choose another --run_dir")
    if path.is_dir() and {entry.name for entry in path.iterdir()} - {LOCK}:
        raise ValueError(
            f"run_dir {path} exists and is not empty; "
            f"continue that run with --resume {path}, or choose another --run_dir"
        )


def _lock(path: Path) -> int:
    """Takes the folder's lock; returns its descriptor."""
    lock = os.open(path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        owner = os.pread(lock, 32, 0).decode(errors="replace").strip()
        os.close(lock)
        raise ValueError(f"{path} is in use: process {owner} is training in it") from None
    os.ftruncate(lock, 0)
    os.pwrite(lock, str(os.getpid()).encode(), 0)
    return lock
