"""Checkpoints: one file each, checked as a whole before anything in it is believed.

A file is a header (magic, format version, length and SHA-256 of the rest) and what `torch.save`
made of the payload. It is read with `weights_only=True`, so that no file can run code. NumPy
arrays travel as tensors and come back as arrays.
"""

import hashlib
import io
import logging
import pickle
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from agents.experiment.files import write_atomically

logger = logging.getLogger(__name__)

FORMAT_VERSION = 1
MAGIC = b"FWAGENTS"
HEADER = struct.Struct("<8sIQ32s")  # magic, format version, payload bytes, SHA-256 of the payload
_ARRAY = "__ndarray__"


class Checkpoint(NamedTuple):
    """A checkpoint that was read."""

    path: Path
    payload: dict[str, Any]


def save_checkpoint(path: Path, payload: Mapping[str, Any]) -> None:
    """Writes a checkpoint atomically.

    Args:
        path: the file.
        payload: nested dicts, lists and tuples of tensors, NumPy arrays, numbers, strings, None.

    Raises:
        TypeError: the payload holds something else.
        OSError: it cannot be written; a file that was there is untouched.
    """
    buffer = io.BytesIO()
    torch.save(_encode(payload), buffer)
    body = buffer.getvalue()
    digest = hashlib.sha256(body).digest()
    header = HEADER.pack(MAGIC, FORMAT_VERSION, len(body), digest)
    write_atomically(path, header + body)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads a checkpoint, with its tensors on the CPU.

    Raises:
        ValueError: no such file, no checkpoint, cut short, damaged, or of another format version.
    """
    try:
        with path.open("rb") as file:
            header = file.read(HEADER.size)
            size = path.stat().st_size - HEADER.size
            body = file.read()
    except FileNotFoundError:
        raise ValueError(f"no checkpoint at {path}") from None
    except IsADirectoryError:
        raise ValueError(f"{path} is a folder, not a checkpoint") from None
    if len(header) < HEADER.size or not header.startswith(MAGIC):
        raise ValueError(f"{path} is not a checkpoint of this suite, or was cut short")
    _, version, length, digest = HEADER.unpack(header)
    if version != FORMAT_VERSION:
        raise ValueError(
            f"{path} has checkpoint format {version}, this code reads format {FORMAT_VERSION}: "
            "use the commit in the run's provenance.json"
        )
    if len(body) != length:
        raise ValueError(f"{path} is truncated: {length} bytes expected, {size} found")
    if hashlib.sha256(body).digest() != digest:
        raise ValueError(f"{path} is damaged: its checksum does not match its content")
    return _read_body(path, body)


def check_matches(payload: Mapping[str, Any], config: Mapping[str, Any], spec: Any) -> None:
    """Refuses a checkpoint of another core, encoder, game or action set.

    Args:
        payload: with `config` and `spec` as dicts, as training saves them.
        config: the run's config as a dict.
        spec: the environment's `EnvSpec`.

    Raises:
        ValueError: naming what differs.
    """
    saved, saved_spec = payload["config"], payload["spec"]
    pairs = [
        ("core.kind", saved["core"]["kind"], config["core"]["kind"]),
        ("encoder", saved["encoder"], config["encoder"]),
        ("game", saved_spec["game"], spec.game),
        ("number of actions", saved_spec["num_actions"], spec.num_actions),
        ("observation shape", tuple(saved_spec["observation_shape"]), spec.observation_shape),
    ]
    for name, found, expected in pairs:
        if found != expected:
            raise ValueError(f"the checkpoint's {name} is {found}, but {expected} is needed here")


class CheckpointFolder:
    """The newest checkpoints of a run, named by their number of updates.

    Args:
        folder: must exist.
        num_kept: older ones are removed.
    """

    def __init__(self, folder: Path, num_kept: int) -> None:
        self._folder = folder
        self._num_kept = num_kept

    def paths(self) -> list[Path]:
        """Returns the checkpoints there are, oldest first."""
        return sorted(self._folder.glob("update_*.pt"))

    def save(self, num_updates: int, payload: Mapping[str, Any]) -> Path:
        """Writes a checkpoint and removes those that it makes superfluous.

        Files of more updates are removed too: a resume found them damaged and passed them over.
        """
        path = self._folder / f"update_{num_updates:010d}.pt"
        save_checkpoint(path, payload)
        for newer in (p for p in self.paths() if p.name > path.name):
            newer.unlink()
        for old in self.paths()[: -self._num_kept]:
            old.unlink()
        return path

    def latest(self) -> Checkpoint | None:
        """Reads the newest checkpoint that is whole; a damaged one is reported and passed over.

        Returns:
            None where there is no checkpoint at all.

        Raises:
            ValueError: there are some, and all are damaged.
        """
        damage = []
        for path in reversed(self.paths()):
            try:
                return Checkpoint(path, load_checkpoint(path))
            except ValueError as error:
                logger.warning("%s; trying the checkpoint before it", error)
                damage.append(str(error))
        if damage:
            raise ValueError(f"no whole checkpoint in {self._folder}: {'; '.join(damage)}")
        return None


def _read_body(path: Path, body: bytes) -> dict[str, Any]:
    """Returns the payload in the bytes after the header."""
    try:
        payload = _decode(torch.load(io.BytesIO(body), map_location="cpu", weights_only=True))
    except (pickle.UnpicklingError, RuntimeError, EOFError, KeyError, TypeError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{path} holds no readable checkpoint: {reason}") from error
    if not isinstance(payload, dict):
        raise ValueError(f"{path} holds a {type(payload).__name__}, not a checkpoint")
    return payload


def _encode(value: Any) -> Any:
    """Returns the value with tensors on the CPU, alone in their storage, and arrays as tensors."""
    if isinstance(value, Tensor):
        tensor = value.detach().cpu()
        is_alone = tensor.untyped_storage().nbytes() == tensor.nbytes
        return tensor if is_alone else tensor.clone()
    if isinstance(value, np.ndarray):
        return {_ARRAY: torch.from_numpy(np.ascontiguousarray(value).reshape(value.shape))}
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Mapping):
        return {_encode(key): _encode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return (tuple if isinstance(value, tuple) else list)(_encode(item) for item in value)
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a checkpoint cannot hold a {type(value).__name__}")


def _decode(value: Any) -> Any:
    """Undoes `_encode`."""
    if isinstance(value, dict):
        if value.keys() == {_ARRAY}:
            return value[_ARRAY].numpy()
        return {key: _decode(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_decode(item) for item in value)
    return value
