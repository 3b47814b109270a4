"""Checkpoints: written whole, checked when read, and never more than data.

A file is a line of magic, the SHA-256 of the rest, and what `torch.save` wrote of tensors, plain
numbers, strings, lists and dicts. It is read with `weights_only=True`, which runs no code.
"""

import hashlib
import io
import logging
from pathlib import Path
from typing import Any

import torch

from agents.experiment.files import sync_folder, write_atomically

logger = logging.getLogger(__name__)

MAGIC = b"fast-weight-agents checkpoint 1\n"
FORMAT_VERSION = 1


def save_checkpoint(path: Path, payload: dict[str, Any]) -> None:
    """Writes a payload of tensors and plain values, atomically."""
    buffer = io.BytesIO()
    torch.save({"format_version": FORMAT_VERSION, **payload}, buffer)
    body = buffer.getvalue()
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, MAGIC + hashlib.sha256(body).hexdigest().encode() + b"\n" + body)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Reads what `save_checkpoint` wrote, on the CPU.

    Raises:
        ValueError: missing, not a checkpoint, damaged, or of a format that this code cannot read.
    """
    if not path.is_file():
        raise ValueError(f"no checkpoint at {path}")
    content = path.read_bytes()
    if not content.startswith(MAGIC):
        raise ValueError(f"{path} is not a checkpoint of this suite")
    checksum, _, body = content[len(MAGIC) :].partition(b"\n")
    if hashlib.sha256(body).hexdigest().encode() != checksum:
        raise ValueError(f"{path} is damaged: its content does not match its checksum")
    payload: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    if payload["format_version"] != FORMAT_VERSION:
        raise ValueError(
            f"{path} has format version {payload['format_version']}, "
            f"this code reads {FORMAT_VERSION}"
        )
    return payload


def save_numbered(folder: Path, number: int, payload: dict[str, Any], *, keep: int) -> Path:
    """Writes checkpoint `number` of a run and removes all but the newest `keep`."""
    path = folder / f"{number:012d}.ckpt"
    save_checkpoint(path, payload)
    for old in sorted(folder.glob("*.ckpt"))[:-keep]:
        old.unlink()
    sync_folder(folder)
    return path


def load_newest(folder: Path) -> dict[str, Any]:
    """Reads the newest undamaged checkpoint of a run, and says which ones it passed over.

    Raises:
        ValueError: there is none.
    """
    for path in sorted(folder.glob("*.ckpt"), reverse=True):
        try:
            return load_checkpoint(path)
        except ValueError as error:
            logger.warning("%s; trying the one before", error)
    raise ValueError(f"no usable checkpoint in {folder}")
