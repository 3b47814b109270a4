"""Everything with parameters: encoders, cores, their kernels, and the policy made of them.

Installed it is the package `fast_weights`, and this is what it offers: docs/library.md.
"""

from . import kernels
from .cores import Core, CoreConfig, make_core
from .encoders import EncoderConfig
from .load import load_policy
from .policy import NO_ACTION, Policy, PolicyConfig

__all__ = [
    "NO_ACTION",
    "Core",
    "CoreConfig",
    "EncoderConfig",
    "Policy",
    "PolicyConfig",
    "kernels",
    "load_policy",
    "make_core",
]
