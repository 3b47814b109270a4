"""Files that are whole or absent: written beside their place, flushed, and renamed into it.

What is read may come from anyone: it is read up to a limit, and parsed as plain data.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

MEBIBYTE = 2**20


def write_atomically(path: Path, content: bytes) -> None:
    """Replaces a file so that a crash leaves the old one or the new one, never a part."""
    temporary = temporary_of(path)
    try:
        temporary.unlink(missing_ok=True)  # what a crash left, or a link that leads elsewhere
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)  # on a full disk it would keep the space
        raise
    sync_folder(path.parent)


def temporary_of(path: Path) -> Path:
    """Returns where `write_atomically` prepares a file; a crash may leave it behind."""
    return path.with_name(f".{path.name}.tmp")


def file_name(text: str) -> str:
    """Returns a name for a file or a folder: what text holds beside word characters is "-"."""
    return re.sub(r"[^\w.+=-]+", "-", text).lstrip(".-")


def unused_path(path: Path) -> Path:
    """Returns a file's path, or where it exists the first of name-2, ... that does not."""
    return _unused(path, path.suffix)


def unused_folder(path: Path) -> Path:
    """Returns a folder's path likewise; what follows a dot in its name is no suffix."""
    return _unused(path, "")


def _unused(path: Path, suffix: str) -> Path:
    unused, number = path, 1
    while unused.exists():
        number += 1
        unused = path.with_name(f"{path.name.removesuffix(suffix)}-{number}{suffix}")
    return unused


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_way_out(path: Path, folder: Path) -> None:
    """Raises ValueError where a path in a folder from elsewhere leads, by a link, out of it.

    A link that stays in the folder does no harm, and neither does a folder that is itself reached
    by a link. What is read may lie anywhere; what is written, in the folder alone.
    """
    try:
        inside = path.resolve().is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # a circle of links
        inside = False
    if not inside:
        raise ValueError(
            f"{path} is a link out of {folder}, where nothing may be written; "
            "replace it by what it leads to"
        )


def refuse_unwritable(folder: Path) -> None:
    """Raises ValueError where no file can be made in a folder that `--out` names; makes nothing.

    Of one that does not exist yet, the nearest folder above it is asked.
    """
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    try:
        TemporaryFile(dir=there).close()
    except OSError as error:
        raise ValueError(f"no result can be written: {error}; choose a folder by --out") from None


def folder_within(owner: Path, name: str) -> Path:
    """Returns a folder in another one, made where it is missing.

    Raises:
        ValueError: it is a link that leads elsewhere.
    """
    folder = owner / name
    refuse_way_out(folder, owner)
    folder.mkdir(exist_ok=True)
    return folder


def write_json(path: Path, value: Any) -> None:
    """Writes a value as readable JSON, atomically."""
    write_atomically(path, (readable_json(value) + "\n").encode())


def readable_json(value: Any, indent: str = "") -> str:
    """Returns JSON with a line for each part, but lists of plain values on one line."""
    inner = indent + "  "
    if isinstance(value, dict) and value:
        parts = [f"{json.dumps(k)}: {readable_json(v, inner)}" for k, v in value.items()]
        brackets = "{}"
    elif isinstance(value, list | tuple) and any(isinstance(v, dict | list | tuple) for v in value):
        parts = [readable_json(v, inner) for v in value]
        brackets = "[]"
    else:
        return json.dumps(value)
    lines = f",\n{inner}".join(parts)
    return f"{brackets[0]}\n{inner}{lines}\n{indent}{brackets[1]}"


def read_bounded(path: Path, max_bytes: int) -> bytes:
    """Returns the content of a regular file.

    Raises:
        ValueError: it is no regular file (a pipe or a device would never end), or too large.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no regular file")
    if path.stat().st_size > max_bytes:
        raise ValueError(f"{path} is larger than {max_bytes:,} bytes, the most that is read")
    return path.read_bytes()


def read_json(path: Path, max_bytes: int = 16 * MEBIBYTE) -> Any:
    """Returns the value of a JSON file.

    Raises:
        ValueError: it is no regular file, too large, or not JSON.
    """
    content = read_bounded(path, max_bytes)
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def whole_lines(path: Path, max_line_bytes: int = 16 * MEBIBYTE) -> Iterator[bytes]:
    """Yields the lines of a file one at a time; a last line that is cut short is left out.

    Raises:
        ValueError: it is no regular file, or a line is too long.
    """
    if not path.is_file():
        raise ValueError(f"{path} is no regular file")
    with path.open("rb") as file:
        while (line := file.readline(max_line_bytes)).endswith(b"\n"):
            yield line
    if len(line) == max_line_bytes:
        raise ValueError(f"{path} has a line longer than {max_line_bytes:,} bytes")
