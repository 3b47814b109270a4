"""Files that are whole or absent: written beside their place, flushed, and renamed into it."""

import json
import os
from pathlib import Path
from typing import Any


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


def write_json(path: Path, value: Any) -> None:
    """Writes a value as indented JSON, atomically."""
    write_atomically(path, (json.dumps(value, indent=2) + "\n").encode())


def read_json(path: Path) -> Any:
    """Returns the value of a JSON file.

    Raises:
        ValueError: it is not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None
