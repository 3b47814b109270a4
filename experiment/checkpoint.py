"""Checkpoints: written whole, checked when read, and never more than data.

A file is what `models.tensor_file` makes of a tree of tensors and plain values: its tensors are
named by their place in the tree, so that those of a policy are `policy.*`, and the rest is JSON
under the names of the tree's first level.
"""

import logging
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from experiment.files import sync_folder, temporary_of, write_atomically
from models import tensor_file

logger = logging.getLogger(__name__)

SUFFIX = ".safetensors"
FORMAT = "format_version"
FORMAT_VERSION = 4
MILESTONE = ".milestone"  # in the name of a checkpoint that is kept for good
NUMBERED = re.compile(rf"[0-9]{{12}}({re.escape(MILESTONE)})?{re.escape(SUFFIX)}")
TENSOR, TENSORS = "$tensor", "$tensors"
"""Stand in the JSON for a tensor, by its name, and for a mapping of tensors alone."""
Check = Callable[[dict[str, Any]], None]
"""Raises ValueError or Foreign where a payload cannot be used, as a predicate of the file."""


class Foreign(ValueError):
    """A sound checkpoint of other code or another run: it is not passed over for an older one.

    A run that went on from the older one would remove it.
    """


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> None:
    """Writes a tree of tensors and plain values, atomically.

    Args:
        path: the file; its folder is made where it is missing.
        payload: mappings by name, lists, tensors and what JSON can hold.
    """
    tensors: dict[str, Tensor] = {}
    values = {name: _without_tensors(part, name, tensors) for name, part in payload.items()}
    path.parent.mkdir(exist_ok=True)
    write_atomically(path, tensor_file.pack(tensors, {FORMAT: FORMAT_VERSION, **values}))


def load_checkpoint(path: Path, check: Check | None = None) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, on the CPU.

    Args:
        path: the file.
        check: refuses what its reader cannot use.

    Raises:
        Foreign: of a format that this code cannot read, or refused as that by `check`.
        ValueError: missing, not a checkpoint, damaged, or refused by `check`.
    """
    if not path.is_file():
        raise ValueError(
            f"no checkpoint at {path}; give a run folder, a checkpoint or a policy{SUFFIX}"
        )
    tensors, values = tensor_file.read(path)
    version = values.pop(FORMAT, None)
    if version != FORMAT_VERSION:
        raise Foreign(
            f"{path} has format version {version}, this code reads {FORMAT_VERSION}; "
            "read it with the commit in its run's provenance.json"
        )
    try:
        payload = {name: _with_tensors(part, tensors) for name, part in values.items()}
    except (KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} is no checkpoint: it lacks a tensor, {error}") from None
    _refuse(path, payload, check)
    return payload


def _without_tensors(part: Any, name: str, tensors: dict[str, Tensor]) -> Any:
    """Returns a part of a tree as JSON can hold it; its tensors are put among `tensors`."""
    if isinstance(part, Tensor):
        tensors[name] = part
        return {TENSOR: name}
    if isinstance(part, Mapping):
        assert all(isinstance(key, str) for key in part), f"{name} has keys that are no names"
        of = {key: _without_tensors(value, f"{name}.{key}", tensors) for key, value in part.items()}
        is_all = bool(part) and all(isinstance(value, Tensor) for value in part.values())
        return {TENSORS: name, "names": list(part)} if is_all else of
    if isinstance(part, list | tuple):
        return [_without_tensors(value, f"{name}.{i}", tensors) for i, value in enumerate(part)]
    return part


def _with_tensors(part: Any, tensors: Mapping[str, Tensor]) -> Any:
    """Returns what `_without_tensors` was given."""
    if isinstance(part, list):
        return [_with_tensors(value, tensors) for value in part]
    if not isinstance(part, dict):
        return part
    if TENSOR in part:
        return tensors[part[TENSOR]]
    if TENSORS in part:
        return {name: tensors[f"{part[TENSORS]}.{name}"] for name in part["names"]}
    return {name: _with_tensors(value, tensors) for name, value in part.items()}


def save_numbered(
    folder: Path, number: int, payload: dict[str, Any], *, keep: int, is_milestone: bool = False
) -> Path:
    """Writes checkpoint `number` of a run and removes all but the newest `keep` and milestones.

    Those of higher numbers go too: a resume passed over them, so the run is no longer theirs.
    So does that of number 0, where nothing was learned yet: a run must not fall back to it.
    Files of other names are the user's and stay.
    """
    path = numbered_path(folder, number, is_milestone=is_milestone)
    save_checkpoint(path, payload)
    for abandoned in [p for p in numbered(folder) if _number(p) > number]:
        abandoned.unlink()
    passing = [p for p in numbered(folder) if not p.name.endswith(f"{MILESTONE}{SUFFIX}")]
    for old in passing[:-keep]:
        old.unlink()
    if number > 0:
        numbered_path(folder, 0).unlink(missing_ok=True)
    for unfinished in folder.glob(temporary_of(Path(f"*{SUFFIX}")).name):  # a killed session's
        unfinished.unlink()
    sync_folder(folder)
    return path


def numbered_path(folder: Path, number: int, *, is_milestone: bool = False) -> Path:
    """Returns where `save_numbered` writes a checkpoint."""
    return folder / f"{number:012d}{MILESTONE if is_milestone else ''}{SUFFIX}"


def numbered(folder: Path) -> list[Path]:
    """Returns the checkpoints that `save_numbered` wrote, oldest first."""
    return sorted(path for path in folder.glob(f"*{SUFFIX}") if NUMBERED.fullmatch(path.name))


def newest_number(folder: Path) -> int:
    """Returns the number of the newest checkpoint.

    Raises:
        ValueError: there is none.
    """
    found = numbered(folder)
    if not found:
        raise ValueError(f"no checkpoint in {folder}")
    return _number(found[-1])


def load_newest(folder: Path, check: Check | None = None) -> dict[str, Any]:
    """Reads the newest usable checkpoint of a run, and says which ones it passed over.

    Args:
        folder: where `save_numbered` wrote.
        check: refuses what its reader cannot use.

    Raises:
        Foreign: one is of another format, or refused as that by `check`.
        ValueError: there is none.
    """
    unusable: list[str] = []
    for path in reversed(numbered(folder)):
        try:
            payload = load_checkpoint(path, check)
        except Foreign:
            raise
        except ValueError as error:
            unusable.append(str(error))
            continue
        for reason in unusable:
            logger.warning("%s; using %s", reason, path.name)
        return payload
    raise ValueError("; ".join([f"no usable checkpoint in {folder}", *unusable]))


def _number(path: Path) -> int:
    return int(path.name[:12])


def _refuse(path: Path, payload: dict[str, Any], check: Check | None) -> None:
    """Raises ValueError or Foreign, naming the file, where `check` refuses its payload."""
    if check is None:
        return
    try:
        check(payload)
    except ValueError as error:
        kind = Foreign if isinstance(error, Foreign) else ValueError
        raise kind(f"{path} {' '.join(str(error).split())}") from None
