"""Chooses which implementation runs a kernel call, and says why.

A request by name either runs on that backend or raises: a slower or different
implementation is never used in silence. Only "auto" may choose, and it logs its choice once, with
the reasons for what it passed over: as a warning where that was made for the tensors' device.
"""

import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

from .autograd import without_autocast

logger = logging.getLogger(__name__)
_logged: set[str] = set()

Result = TypeVar("Result")
Bptt = Literal["full", 1]

TRITON_IS_INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
"""True where Triton runs its kernels on CPU tensors in Python, which only tests want."""


def _accepts(*_: Tensor) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Backend(Generic[Result]):
    """One implementation of one kernel."""

    name: str
    device: str | None
    """Device type of the tensors it takes; None for any."""
    run: Callable[..., Result]
    """Takes the kernel's tensors by position, `bptt` and the kernel's own options by keyword."""
    rejects: Callable[..., str | None] = _accepts
    """Takes the kernel's tensors; why these cannot be used, or None."""


def choose(
    kernel: str, backends: Sequence[Backend[Result]], requested: str, *args: Tensor
) -> Backend[Result]:
    """Returns the requested backend, or for "auto" the first that accepts the call.

    Args:
        kernel: name for messages.
        backends: in order of preference.
        requested: a backend's name, or "auto".
        *args: the kernel's tensors; all on one device.

    Raises:
        ValueError: no such backend, or none that accepts this call.
    """
    candidates = [b for b in backends if requested in ("auto", b.name)]
    if not candidates:
        names = ", ".join(b.name for b in backends)
        raise ValueError(f"{kernel}: unknown backend {requested!r}; choose auto or one of {names}")
    reasons: list[str] = []
    level = logging.INFO
    for backend in candidates:
        reason = _reason_not_to(backend, requested, args)
        if reason is None:
            _log_once(level, kernel, backend.name, reasons)
            return backend
        reasons.append(f"{backend.name}: {reason}")
        if backend.device == args[0].device.type:
            level = logging.WARNING  # what runs instead may be twenty times slower
    raise ValueError(f"{kernel}: cannot run ({'; '.join(reasons)})")


def _reason_not_to(
    backend: Backend[Result], requested: str, args: tuple[Tensor, ...]
) -> str | None:
    """Returns why a backend cannot take these tensors, or None."""
    device = args[0].device.type
    is_interpreted = requested == backend.name == "triton" and TRITON_IS_INTERPRETED
    if backend.device in (None, device) or (is_interpreted and device == "cpu"):
        return backend.rejects(*args)
    return f"needs {backend.device} tensors"


def _log_once(level: int, kernel: str, name: str, reasons: list[str]) -> None:
    if torch.compiler.is_compiling():
        return
    message = f"{kernel} runs on {name}{''.join(f'; not {reason}' for reason in reasons)}"
    if message not in _logged:
        _logged.add(message)
        logger.log(level, message)


def run(
    kernel: str,
    backends: Sequence[Backend[Result]],
    requested: str,
    args: tuple[Tensor, ...],
    bptt: Bptt,
    **options: object,
) -> Result:
    """Runs one call on the backend that `choose` picks.

    A call without a step or without a row has nothing to compute, so that the reference
    answers it whatever was asked for: an empty output, and the state as it came.

    Args:
        kernel: name for messages.
        backends: in order of preference; the last one is the reference.
        requested: a backend's name, or "auto".
        args: the kernel's tensors in order, checked and arranged; the last one is `start`.
        bptt: passed on.
        **options: the kernel's own, passed on.

    Raises:
        ValueError: as `choose`.
        NotImplementedError: an input carries a tangent; only the reference takes it along.
    """
    backend = choose(kernel, backends, requested, *args)
    if args[-1].numel() == 0:
        backend = backends[-1]
    if backend is not backends[-1] and _is_forward_mode(args):
        raise NotImplementedError(
            f"{kernel}: {backend.name} has no forward-mode derivatives; the reference kernel has"
        )
    with without_autocast(args[-1].device):
        return backend.run(*args, bptt=bptt, **options)


def _is_forward_mode(tensors: tuple[Tensor, ...]) -> bool:
    """Returns whether a forward-mode derivative is taken of one of these tensors."""
    if getattr(forward_ad, "_current_level", 0) < 0:
        return False  # nobody takes one: acting pays for this line alone
    unpack = forward_ad.unpack_dual
    return any(unpack(x).tangent is not None for x in tensors)  # type: ignore[no-untyped-call]  # torch has no types here
