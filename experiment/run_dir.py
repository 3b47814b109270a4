"""The folder of one run: who may write it, what it holds, how the run ended.

`config.yaml` (resolved), `provenance.json`, `status.json`, `metrics.jsonl`, `tensorboard/`,
`checkpoints/`, `evaluation/`. One process at a time trains in it.
"""

import fcntl
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any, Literal

import yaml

from experiment.checkpoint import numbered, numbered_path, save_numbered
from experiment.files import (
    folder_within,
    read_bounded,
    read_json,
    refuse_way_out,
    temporary_of,
    write_atomically,
    write_json,
)
from experiment.plugins import warn_of_changes
from experiment.provenance import provenance
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.torchrun import launch_id, num_restarts

CHECKPOINTS = "checkpoints"
PROVENANCE = "provenance.json"
TRIALS = "-tuning"
"""How the name of a folder ends that holds trials of settings, which no comparison is made of."""
MAX_CONFIG_BYTES = 2**16
MAX_CONFIG_BRACKETS = 100  # the parser's time grows with the square of their depth
Status = Literal["running", "finished", "stopped", "failed"]


class RunDir:
    """A run folder that this process trains in; `close` lets others do so.

    Args:
        path: an existing folder with a config.yaml.

    Raises:
        ValueError: it is no run folder, its provenance cannot be read, a link leads out of it, or
            another process trains in it.
    """

    def __init__(self, path: Path) -> None:
        read_config(path)
        for entry in path.iterdir():  # below them files are replaced, which never follows a link
            refuse_way_out(entry, path)
        _read_provenance(path)
        self.path = path
        self._lock = _lock(path)

    @classmethod
    def create(cls, path: Path, config: dict[str, Any], first: dict[str, Any]) -> "RunDir":
        """Makes the folder of a new run.

        `config.yaml` comes last, so that whatever has one has a checkpoint to go on from.

        Args:
            path: where; must not exist, or be empty.
            config: the resolved settings, as plain values.
            first: the checkpoint before the first update.

        Raises:
            ValueError: something is there already.
        """
        cls.refuse_used(path)
        path.mkdir(parents=True, exist_ok=True)
        refuse_way_out(path / ".lock", path)
        with _lock(path) as lock:
            cls.refuse_used(path)  # by a process that was faster
            lock.truncate(0)
            lock.write(launch_id())
            save_numbered(folder_within(path, CHECKPOINTS), 0, first, keep=1)
            _write_config(path, config)
        return cls(path)

    @staticmethod
    def refuse_used(path: Path) -> None:
        """Raises ValueError where there is anything but what a killed `create` left."""
        folder = path / CHECKPOINTS
        first = numbered_path(folder, 0)
        left = {path / ".lock", temporary_of(path / "config.yaml"), folder}
        left |= {first, temporary_of(first)}
        if path.exists() and (not path.is_dir() or set(path.rglob("*")) - left):
            raise ValueError(
                f"{path} exists already; continue it with --resume {path}, "
                "or choose another --run_dir"
            )

    @staticmethod
    def is_begun_by_this_launch(path: Path) -> bool:
        """Returns whether torchrun began the run in a folder, and now starts its ranks again."""
        lock = path / ".lock"
        return (
            num_restarts() > 0
            and (path / "config.yaml").exists()
            and lock.is_file()
            and lock.read_text(errors="replace") == launch_id()
        )

    @staticmethod
    def refuse_without_checkpoint(path: Path) -> None:
        """Raises ValueError where there is no checkpoint to go on from, usable or not."""
        if not numbered(path / CHECKPOINTS):
            raise ValueError(
                f"{path} has no checkpoint to go on from; begin another run like it with "
                f"--config {path / 'config.yaml'} --run_dir ANOTHER_FOLDER"
            )

    def change_config(self, config: dict[str, Any]) -> None:
        """Replaces the settings by others, as plain values."""
        _write_config(self.path, config)

    def record_session(
        self,
        unit: str,
        done: int,
        arithmetic: Mapping[str, str | None],
        num_ranks: int = 1,
        changes: Changes = NO_CHANGES,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        """Adds where this session comes from to provenance.json.

        The first session's stands there as it is; those that resumed it follow in a list, each
        with how far the run was and which settings it changed.

        Args:
            unit: what the run counts.
            done: units learned from before the session.
            arithmetic: what computes, by name: what settings that say "auto" came to.
            num_ranks: processes that train.
            changes: settings that were others before the session.
            origin: what the first weights came from, where they were not drawn.
        """
        session = provenance() | {"processes": num_ranks, "arithmetic": dict(arithmetic)}
        file, first = self.path / PROVENANCE, _read_provenance(self.path)
        if first is None:
            weights = {"init_from": dict(origin)} if origin else {}
            write_json(file, session | weights | {"resumed": []})
            return
        warn_of_changes(first)
        first["resumed"].append({unit: done, "changed": changes} | session)
        write_json(file, first)

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    def set_status(self, status: Status, why: str = "") -> None:
        """Records where the run stands."""
        write_json(self.path / "status.json", {"status": status, "why": why})

    def close(self) -> None:
        """Lets another process train here."""
        self._lock.close()


def _read_provenance(path: Path) -> dict[str, Any] | None:
    """Returns what a run's sessions come from; None before the first.

    Raises:
        ValueError: its file holds something else.
    """
    file = path / PROVENANCE
    if not file.exists():
        return None
    first = read_json(file)
    if not isinstance(first, dict) or not isinstance(first.setdefault("resumed", []), list):
        raise ValueError(f"{file} holds no provenance")
    return first


def _write_config(path: Path, config: dict[str, Any]) -> None:
    write_atomically(path / "config.yaml", yaml.safe_dump(config, sort_keys=False).encode())


def _lock(path: Path) -> IO[str]:
    """Returns the open file that locks a run folder until it is closed.

    Raises:
        ValueError: another process holds it.
    """
    lock = (path / ".lock").open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise ValueError(f"{path} is being trained by another process") from None
    return lock


def status_word(path: Path) -> str:
    """Returns the status of a run folder in a word, "" where none is recorded.

    Raises:
        ValueError: its file is not JSON of a status.
    """
    has_status = (path / "status.json").exists()
    return str(read_status(path)["status"]) if has_status else ""


def read_status(path: Path) -> dict[str, Any]:
    """Returns what `set_status` recorded in a run folder.

    Raises:
        ValueError: nothing, or it is not JSON of a status.
    """
    file = path / "status.json"
    if not file.is_file():
        raise ValueError(f"{path} has no status.json")
    status = read_json(file)
    if not isinstance(status, dict) or not isinstance(status.get("status"), str):
        raise ValueError(f"{file} holds no status")
    return status


def read_config(path: Path) -> dict[str, Any]:
    """Returns the settings of a run folder as plain values.

    Raises:
        ValueError: there is no config.yaml, or it is not YAML settings (aliases, which can make
            a small file endless, are none).
    """
    file = path / "config.yaml"
    if not file.is_file():
        raise ValueError(f"{path} is no run folder: it has no config.yaml")
    content = read_bounded(file, MAX_CONFIG_BYTES)
    if content.count(b"[") + content.count(b"{") > MAX_CONFIG_BRACKETS:
        raise ValueError(f"{file} is not YAML settings: it is nested too deep")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(content)):
            raise ValueError(f"{file} repeats values by alias; settings are written out")
        config = yaml.safe_load(content)
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"{file} is not YAML: {str(error).splitlines()[0]}") from None
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold settings by name, got {type(config).__name__}")
    return config
