"""The cores: memories that can stand in for each other between encoder and heads."""

from .backend import kernel_backend
from .base import Core, CoreState
from .block import Access, FastNet
from .budget import fitted
from .config import CoreConfig
from .guest import LOOKS, is_guest, is_registered, register
from .registry import CORES, core_spec, make_core, refuse_unused, resolved
from .spec import CoreSpec

__all__ = [
    "CORES",
    "LOOKS",
    "Access",
    "Core",
    "CoreConfig",
    "CoreSpec",
    "CoreState",
    "FastNet",
    "core_spec",
    "fitted",
    "is_guest",
    "is_registered",
    "kernel_backend",
    "make_core",
    "refuse_unused",
    "register",
    "resolved",
]
