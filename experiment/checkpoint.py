"""Checkpoints: written whole, checked when read, and never more than data.

A file is a line of magic, the SHA-256 of the rest, and what `torch.save` wrote of tensors, plain
numbers, strings, lists and dicts. It is read with `weights_only=True`, which runs no code, after
`archive.py` has compared every size in it with what is there.
"""

import hashlib
import io
import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from experiment.archive import load_archive
from experiment.config_values import config_from_values, config_values
from experiment.files import read_bounded, sync_folder, temporary_of, write_atomically

logger = logging.getLogger(__name__)

MAGIC = b"fast-weight-agents checkpoint 1\n"
FORMAT_VERSION = 3
MAX_BYTES = 1 << 32  # of a checkpoint; the largest policy here takes a hundredth
MILESTONE = ".milestone"  # in the name of a checkpoint that is kept for good
NUMBERED = re.compile(rf"[0-9]{{12}}({re.escape(MILESTONE)})?\.ckpt")
# Settings that decide which weights fit.
IDENTITY = ("game", "env", "policy", "encoder", "core")
ELSEWHERE = "read it with the commit in its run's provenance.json"
Check = Callable[[dict[str, Any]], None]
"""Raises ValueError where a payload cannot be used; its message is a predicate of the file."""


def save_checkpoint(path: Path, payload: dict[str, Any]) -> None:
    """Writes a payload of tensors and plain values, atomically."""
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, **payload}, buffer)
    body = buffer.getvalue()
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def load_checkpoint(path: Path, check: Check | None = None) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, on the CPU.

    Args:
        path: the file.
        check: refuses what its reader cannot use.

    Raises:
        ValueError: missing, not a checkpoint, damaged, of a format that this code cannot read, or
            refused by `check`.
    """
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}; give a run folder, a checkpoint or a policy.pt")
    content = read_bounded(path, MAX_BYTES)
    if not content.startswith(MAGIC):
        raise ValueError(f"{path} is not a checkpoint of this suite")
    checksum, _, body = content[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    payload = _unpack(path, body)
    _upgrade(path, payload)
    _refuse(path, payload, check)
    return payload


def save_numbered(
    folder: Path, number: int, payload: dict[str, Any], *, keep: int, is_milestone: bool = False
) -> Path:
    """Writes checkpoint `number` of a run and removes all but the newest `keep` and milestones.

    Those of higher numbers go too: a resume passed over them, so the run is no longer theirs.
    Files of other names are the user's and stay.
    """
    path = folder / f"{number:012d}{MILESTONE if is_milestone else ''}.ckpt"
    save_checkpoint(path, payload)
    for abandoned in [p for p in numbered(folder) if _number(p) > number]:
        abandoned.unlink()
    passing = [p for p in numbered(folder) if not p.name.endswith(f"{MILESTONE}.ckpt")]
    for old in passing[:-keep]:
        old.unlink()
    for unfinished in folder.glob(temporary_of(Path("*.ckpt")).name):  # a killed session's
        unfinished.unlink()
    sync_folder(folder)
    return path


def numbered(folder: Path) -> list[Path]:
    """Returns the checkpoints that `save_numbered` wrote, oldest first."""
    return sorted(path for path in folder.glob("*.ckpt") if NUMBERED.fullmatch(path.name))


def newest_number(folder: Path) -> int:
    """Returns the number of the newest checkpoint.

    Raises:
        ValueError: there is none.
    """
    found = numbered(folder)
    if not found:
        raise ValueError(f"no checkpoint in {folder}")
    return _number(found[-1])


def load_newest(
    folder: Path, check: Check | None = None, config: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Reads the newest usable checkpoint of a run, and says which ones it passed over.

    Args:
        folder: where `save_numbered` wrote.
        check: refuses what its reader cannot use.
        config: settings of the run that the checkpoint must be of, either of which may lack
            fields younger than itself; None takes any.

    Raises:
        ValueError: there is none, or one is of another game, environment, encoder or core: it is
            not passed over, as `save_numbered` would then remove it.
    """
    unusable: list[str] = []
    for path in reversed(numbered(folder)):
        try:
            payload = load_checkpoint(path)
            foreign = None if config is None else _difference(path, payload, config)
            if foreign is None:
                _refuse(path, payload, check)
        except ValueError as error:
            unusable.append(str(error))
            continue
        if foreign is not None:
            raise ValueError(foreign)
        for reason in unusable:
            logger.warning("%s; using %s", reason, path.name)
        return payload
    raise ValueError("; ".join([f"no usable checkpoint in {folder}", *unusable]))


def _number(path: Path) -> int:
    return int(path.name[:12])


def _refuse(path: Path, payload: dict[str, Any], check: Check | None) -> None:
    """Raises ValueError, naming the file, where `check` refuses its payload."""
    if check is None:
        return
    try:
        check(payload)
    except ValueError as error:
        raise ValueError(f"{path} {' '.join(str(error).split())}") from None


def _unpack(path: Path, body: bytes) -> dict[str, Any]:
    """Returns what `torch.save` wrote, without running code from it."""
    try:
        payload = load_archive(body)
    except ValueError as error:
        raise ValueError(f"{path} is refused: {error}") from None
    if not isinstance(payload, dict):
        raise ValueError(f"{path} holds a {type(payload).__name__}, not a checkpoint")
    return payload


def _upgrade(path: Path, payload: dict[str, Any]) -> None:
    """Brings a payload of an older format to the present one, in place."""
    version = payload.get("format_version")
    if type(version) is not int or version not in (*UPGRADES, FORMAT_VERSION):
        raise ValueError(
            f"{path} has format version {version}, this code reads {min(UPGRADES)} to "
            f"{FORMAT_VERSION}; {ELSEWHERE}"
        )
    try:
        for step in range(version, FORMAT_VERSION):
            UPGRADES[step](payload)
    except (AttributeError, TypeError):
        raise ValueError(f"{path} is no checkpoint of format {version}") from None
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None
    payload["format_version"] = FORMAT_VERSION


def _from_1(payload: dict[str, Any]) -> None:
    """Updates could not be skipped."""
    learner = payload.get("trainer", {}).get("learner", {})
    learner["skipped_updates"] = 0


def _from_2(payload: dict[str, Any]) -> None:
    """Vectors' features were not normalised: such weights would make another policy now."""
    encoder = payload.get("config", {}).get("encoder")
    if encoder in ("mlp", "minigrid"):
        raise ValueError(f"has weights of an {encoder} encoder of format 1 or 2; {ELSEWHERE}")


UPGRADES: dict[int, Callable[[dict[str, Any]], None]] = {1: _from_1, 2: _from_2}
"""What leads from each older format to the one after it."""


def _difference(path: Path, payload: Mapping[str, Any], config: Mapping[str, Any]) -> str | None:
    """Returns in what a checkpoint was trained with other settings than `config`, or None."""
    saved = payload.get("config")
    if not isinstance(saved, Mapping):
        raise ValueError(f"{path} holds no run: it has no config")
    try:
        theirs = _identity(saved)
    except ValueError as error:
        return f"{path} is of another run: {' '.join(str(error).split())}"
    for name, ours in _identity(config).items():
        if theirs[name] != ours:
            return (
                f"{path} is of another run: its {name} is {theirs[name]}, "
                f"the run's config.yaml has {ours}"
            )
    return None


def _identity(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that decide which weights fit; what the values lack has its default."""
    given = {name: values[name] for name in IDENTITY if name in values}
    resolved = config_values(config_from_values(given))
    return {name: resolved[name] for name in IDENTITY}
