"""Files that are whole or absent: written beside their place, flushed, and renamed into it.

What is read may come from anyone: it is read up to a limit, and parsed as plain data.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
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


def unused_path(path: Path) -> Path:
    """Returns path, or where it exists the first of name-2, name-3, ... that does not."""
    unused, number = path, 1
    while unused.exists():
        number += 1
        unused = path.with_name(f"{path.stem}-{number}{path.suffix}")
    return unused


def sync_folder(folder: Path) -> None:
    """Makes renames and removals in a folder survive a loss of power."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_link(path: Path) -> None:
    """Raises ValueError where a link, in a folder from elsewhere, would lead writing elsewhere."""
    if path.is_symlink():
        raise ValueError(f"{path} is a link to {path.readlink()}; a run folder holds its own files")


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


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
