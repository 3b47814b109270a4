"""What every operator requires of its tensors, checked and arranged in one place.

An operator describes its arguments by a layout: each name with its dimensions in order,
such as {"k": "T B H K", "state": "B H K V", "start": "T B"}. The first dimension says what
an argument is: T a sequence, B a state, anything else a weight.
"""

import re
from collections.abc import Mapping

import torch
from torch import Tensor

Layout = Mapping[str, str]

SEQUENCE_DTYPES = (torch.float32, torch.bfloat16, torch.float64)
STATE_DTYPES = (torch.float32, torch.float64)

_DIMENSION = re.compile(r"(\d*)([A-Z])(?:\+(\d+))?")

_accepted: set[tuple[object, ...]] = set()
"""Signatures of calls that passed the checks: acting makes the same call at every step."""


def prepare(
    kernel: str, layout: Layout, tensors: tuple[Tensor, ...], bptt: object
) -> tuple[Tensor, ...]:
    """Checks the arguments of a kernel call and arranges them in memory as backends expect.

    States and weights come back contiguous, and sequences of feature vectors with a unit
    stride in the last dimension. Sequences keep their other strides, and those of scalars
    ("T B", "T B H") all of them. Nothing is copied that is so already.

    Args:
        kernel: name for messages.
        layout: dimensions of each argument. A size is read off the first argument that has
            it; "4N" is four times N, "3D+4" three times D and four.
        tensors: in the order of `layout`, the last one `start`.
        bptt: "full" or 1.

    Returns:
        The tensors, in order.

    Raises:
        ValueError: a shape, dtype or device is not what the layout says. Sequences share
            one dtype of SEQUENCE_DTYPES; states and weights share one of STATE_DTYPES, not
            narrower than the sequences'; `start` is bool; all are on one device.
    """
    if bptt not in ("full", 1) or bptt is True:
        raise ValueError(f"{kernel}: bptt must be 'full' or 1, got {bptt!r}")
    signature = (kernel, *((x.shape, x.dtype, x.device) for x in tensors))
    if torch.compiler.is_compiling() or signature not in _accepted:
        named = dict(zip(layout, tensors, strict=True))
        _check_shapes(kernel, layout, named)
        _check_devices(kernel, named)
        _check_dtypes(kernel, layout, named)
        if not torch.compiler.is_compiling():
            _accepted.add(signature)
    return tuple(map(_arranged, layout.values(), tensors))


def _check_shapes(kernel: str, layout: Layout, named: Mapping[str, Tensor]) -> None:
    sizes = _sizes(layout, named)
    for name, tensor in named.items():
        dims = layout[name].split()
        if tuple(tensor.shape) != tuple(_size(dim, sizes) for dim in dims):
            expected = ", ".join(f"{dim}={_size(dim, sizes)}" for dim in dims)
            raise ValueError(f"{kernel}: {name} must be [{expected}], got {list(tensor.shape)}")


def _sizes(layout: Layout, named: Mapping[str, Tensor]) -> dict[str, int]:
    """Returns the size of each dimension, off the first argument of the right rank that has it."""
    sizes: dict[str, int] = {}
    for name, tensor in named.items():
        dims = layout[name].split()
        if tensor.ndim == len(dims):
            for dim, size in zip(dims, tensor.shape, strict=True):
                if dim.isalpha():
                    sizes.setdefault(dim, size)
    return sizes


def size_of(dim: str, sizes: Mapping[str, int]) -> int:
    """Returns the size of a dimension such as "B" or "3D+4" where those of letters are known."""
    factor, letter, more = _parts(dim)
    return int(factor or 1) * sizes[letter] + int(more or 0)


def _size(dim: str, sizes: Mapping[str, int]) -> int | str:
    """Returns the size of a dimension, or "?" where it is not known yet."""
    return size_of(dim, sizes) if _parts(dim)[1] in sizes else "?"


def _parts(dim: str) -> tuple[str, str, str]:
    """Returns factor, letter and addend of a dimension; "" for what it does without."""
    match = _DIMENSION.fullmatch(dim)
    assert match, dim
    return match[1], match[2], match[3] or ""


def _check_devices(kernel: str, named: Mapping[str, Tensor]) -> None:
    first, device = next((name, x.device) for name, x in named.items())
    for name, tensor in named.items():
        if tensor.device != device:
            raise ValueError(f"{kernel}: {name} is on {tensor.device}, {first} on {device}")


def _check_dtypes(kernel: str, layout: Layout, named: Mapping[str, Tensor]) -> None:
    *floats, start = named
    if named[start].dtype != torch.bool:
        raise ValueError(f"{kernel}: {start} must be bool, got {named[start].dtype}")
    sequences = {name: named[name].dtype for name in floats if layout[name].startswith("T")}
    others = {name: named[name].dtype for name in floats if name not in sequences}
    _check_one_dtype(kernel, sequences, SEQUENCE_DTYPES)
    _check_one_dtype(kernel, others, STATE_DTYPES)
    wide, narrow = next(iter(others.items())), next(iter(sequences.items()))
    if torch.promote_types(wide[1], narrow[1]) != wide[1]:
        raise ValueError(
            f"{kernel}: {wide[0]} must be at least as wide as {narrow[0]}'s {narrow[1]},"
            f" got {wide[1]}"
        )


def _check_one_dtype(
    kernel: str, dtypes: Mapping[str, torch.dtype], allowed: tuple[torch.dtype, ...]
) -> None:
    first, common = next(iter(dtypes.items()))
    if common not in allowed:
        raise ValueError(
            f"{kernel}: {first} must be one of {', '.join(map(str, allowed))}, got {common}"
        )
    for name, dtype in dtypes.items():
        if dtype != common:
            raise ValueError(f"{kernel}: {name} must be {common} as {first} is, got {dtype}")


def _arranged(dims: str, tensor: Tensor) -> Tensor:
    if not dims.startswith("T"):
        return tensor.contiguous()
    is_scalar = dims.endswith(("B", "H"))
    return tensor if is_scalar or tensor.stride(-1) == 1 else tensor.contiguous()
