"""Code of the user's own: a core or an environment in a file or a module of theirs.

It is called `path/to/file.py:name` or `module:name`, and imported only where the command line
names it: what a config file or a saved run names is not reason enough.
"""

import hashlib
import importlib
import importlib.util
import logging
import sys
import traceback
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from experiment.complaints import close_hint

logger = logging.getLogger(__name__)

LOADED: dict[str, dict[str, str | None]] = {}
"""Plugins that this process imported, by name as typed, and the SHA-256 of their source files."""


def is_plugin(name: str) -> bool:
    """Returns whether a name is of code from outside, rather than of a built-in."""
    return ":" in name


def load(name: str) -> tuple[ModuleType, str]:
    """Imports the module of a plugin; returns it and what the plugin calls in it.

    Raises:
        ValueError: there is none, or it cannot be imported.
    """
    place, _, attribute = name.rpartition(":")
    if not place or not attribute:
        raise ValueError(f"a plugin is FILE.py:NAME or MODULE:NAME, got {name!r}")
    try:
        module = _import_file(name, Path(place)) if place.endswith(".py") else _import(place)
    except Exception as error:  # whatever code from outside raises
        if isinstance(error, _Missing):
            raise ValueError(f"{name}: {error}") from None
        raise ValueError(f"{name} fails when imported: {_told(error)}") from error
    LOADED[name] = {"sha256": _sha256(module)}
    return module, attribute


def adopt(found: Any) -> str:
    """Takes a class or a function of this process as a plugin.

    Returns:
        The name by which a command line would import it, where it lies in a file or module.

    Raises:
        ValueError: it has no name of its own.
    """
    attribute = getattr(found, "__qualname__", "<none>")
    if "<" in attribute:
        raise ValueError(f"a plugin is a class or a function at the top of a module, got {found!r}")
    module = sys.modules[found.__module__]
    file = getattr(module, "__file__", None)
    is_script = module.__name__ == "__main__" and file
    name = f"{file if is_script else module.__name__}:{attribute}"
    LOADED[name] = {"sha256": _sha256(module)}
    return name


def attribute_missing(name: str, module: ModuleType) -> ValueError:
    """Returns the error for a plugin whose module has nothing of its name."""
    place, _, attribute = name.rpartition(":")
    return ValueError(f"{place} has no {attribute!r}{close_hint(attribute, vars(module))}")


def warn_of_changes(origin: Any) -> None:
    """Logs which plugins are not what a run was made with.

    Args:
        origin: content of its provenance.json, from whomever.
    """
    recorded = origin.get("plugins") if isinstance(origin, Mapping) else None
    for name, source in recorded.items() if isinstance(recorded, Mapping) else ():
        if name in LOADED and LOADED[name] != source:
            logger.warning("%s has changed since the run was begun", name)


class _Missing(Exception):
    """There is no such file or module."""


def _import_file(name: str, path: Path) -> ModuleType:
    """Imports a file, which may import its neighbours as a script does."""
    if not path.is_file():
        raise _Missing(f"there is no file {path}")
    key = f"plugin {path.resolve()}"
    if key in sys.modules:
        return sys.modules[key]
    folder = str(path.resolve().parent)
    if folder not in sys.path:
        sys.path.append(folder)  # last, so that nothing of ours is hidden
    spec = importlib.util.spec_from_file_location(key, path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules[key] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[key]
        raise
    return module


def _import(place: str) -> ModuleType:
    try:
        return importlib.import_module(place)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{place}.".startswith(f"{error.name}."):
            raise
        raise _Missing(f"there is no module {place}; a file ends in .py") from None


def _told(error: Exception) -> str:
    """Returns what an import raised, and in which line of which file."""
    if isinstance(error, SyntaxError):  # its message names them; it was raised by the importer
        return f"{type(error).__name__}: {error}"
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(at.filename).name}, line {at.lineno}: {error}"


def _sha256(module: ModuleType) -> str | None:
    """Returns the hash of a module's source file; None of one that has none."""
    file = getattr(module, "__file__", None)
    return hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else None
