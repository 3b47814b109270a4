"""Recurrences over a whole unroll, one call each: `rdn(...)` and its like, a folder for each.

`reference.py` in a folder is its meaning in plain torch; the other files compute the same,
faster. `dispatch.py` chooses between them and says why. Here a name is the function; what else its
folder holds is imported by `from .rdn import LAYOUT`, or found in `operators()`.
"""

from importlib import import_module
from pkgutil import iter_modules
from types import ModuleType

from .delta_product import delta_product
from .delta_rnn import delta_rnn
from .delta_rule import delta_rule
from .gated_delta_rule import gated_delta_rule
from .gru import gru
from .linear_attention import linear_attention
from .lstm import lstm
from .rdn import rdn
from .srwm import srwm

__all__ = [
    "delta_product",
    "delta_rnn",
    "delta_rule",
    "gated_delta_rule",
    "gru",
    "linear_attention",
    "lstm",
    "operators",
    "rdn",
    "srwm",
]


def operators() -> dict[str, ModuleType]:
    """Returns the operators' packages by name: every folder here that has an `__init__.py`.

    Each has a LAYOUT of its arguments, its BACKENDS, and a function of the package's name.
    """
    folders = [module.name for module in iter_modules(__path__) if module.ispkg]
    return {name: import_module(f".{name}", __name__) for name in folders}
