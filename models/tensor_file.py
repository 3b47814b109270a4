"""Tensors and plain values in one safetensors file, which any reader of that format opens.

Values stand as JSON in the header's metadata, each under its name. `sha256` there is over the rest
of the header and the bytes of all tensors, so that a file that was damaged on its way is refused.
Format: https://huggingface.co/docs/safetensors.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

METADATA, CHECKSUM = "__metadata__", "sha256"
HEADER_SIZE_BYTES = 8  # a file begins with the length of its header, little-endian
ALIGNMENT_BYTES = 8  # of the tensors, which begin after it
MAX_BYTES = 1 << 32  # of a file; the largest checkpoint here takes a hundredth

# What torch cannot make, a dtype that it lacks or a shape of too many steps, safetensors lets pass.
UNREADABLE = (SafetensorError, KeyError, RuntimeError, TypeError, ValueError)


class Content(NamedTuple):
    """What a file holds."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]


def pack(tensors: Mapping[str, Tensor], values: Mapping[str, Any]) -> bytes:
    """Returns the content of a file; the same for the same arguments.

    Args:
        tensors: of any shape and device; copied where they share memory or are not contiguous.
        values: plain values that JSON can hold, by name.

    Raises:
        ValueError: it would be larger than what `read` takes.
    """
    size = sum(tensor.nbytes for tensor in tensors.values())
    if size > MAX_BYTES:
        raise ValueError(f"{size:,} bytes of tensors, a file holds at most {MAX_BYTES:,}")
    own = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in tensors.items()}
    header, tensor_bytes = _parts(save(own))
    header[METADATA] = {name: json.dumps(value) for name, value in values.items()}
    header[METADATA][CHECKSUM] = _checksum(header, tensor_bytes)
    text = json.dumps(header, sort_keys=True).encode()  # safetensors itself shuffles the values
    text += b" " * (-len(text) % ALIGNMENT_BYTES)
    return len(text).to_bytes(HEADER_SIZE_BYTES, "little") + text + tensor_bytes


def read(path: Path) -> Content:
    """Returns what `pack` was given, on the CPU. Nothing in the file is run.

    Raises:
        ValueError: missing, too large, no safetensors file of this suite, or damaged.
    """
    if not path.is_file():
        raise ValueError(f"no file at {path}")
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} is larger than {MAX_BYTES:,} bytes, the most that is read")
    content = path.read_bytes()
    try:
        tensors = load(content)
        header, tensor_bytes = _parts(content)
    except UNREADABLE as error:
        said = in_one_line(error)
        raise ValueError(f"{path} is damaged, or no safetensors file: {said}") from None
    metadata = header.get(METADATA) or {}
    if CHECKSUM not in metadata:
        raise ValueError(f"{path} is a safetensors file, but not of this suite: it has no sha256")
    if metadata.pop(CHECKSUM) != _checksum(header, tensor_bytes):
        raise ValueError(f"{path} is damaged: its content does not match its sha256")
    try:
        return Content(tensors, {name: json.loads(text) for name, text in metadata.items()})
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} holds a value that is not JSON: {in_one_line(error)}") from None


def _parts(content: bytes) -> tuple[dict[str, Any], bytes]:
    """Returns the header of a file, and the bytes of its tensors."""
    begin = HEADER_SIZE_BYTES + int.from_bytes(content[:HEADER_SIZE_BYTES], "little")
    return json.loads(content[HEADER_SIZE_BYTES:begin]), content[begin:]


def _checksum(header: Mapping[str, Any], tensor_bytes: bytes) -> str:
    """Returns the checksum of a file whose header does not hold it."""
    digest = hashlib.sha256(json.dumps(header, sort_keys=True).encode())
    digest.update(tensor_bytes)
    return digest.hexdigest()


def in_one_line(error: Exception) -> str:
    """Returns what an error says, without line breaks and not for long."""
    return " ".join(str(error).split())[:200]
