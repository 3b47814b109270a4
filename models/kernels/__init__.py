"""Recurrences over a whole unroll, one call each: a public operator per folder.

`reference.py` in a folder is its meaning in plain torch; the other files compute the same,
faster. `dispatch.py` chooses between them and says why.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType


def operators() -> dict[str, ModuleType]:
    """Returns the operators' packages by name: every folder here that has an `__init__.py`.

    Each has a LAYOUT of its arguments, its BACKENDS, and a function of the package's name.
    """
    folders = [module.name for module in iter_modules(__path__) if module.ispkg]
    return {name: import_module(f".{name}", __name__) for name in folders}
