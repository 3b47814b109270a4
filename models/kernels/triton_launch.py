"""What the Triton backends of all operators share: when they can run, and how they are launched.

Triton is imported on the first use only: the base installation need not have it. A folder's
`gpu.py` registers its operator and imports `gpu_kernels.py`, which needs Triton, when it runs.
"""

import contextlib
import importlib.util
from typing import Any

import torch
from torch import Tensor

from . import limits

MAX_TILE_COLUMNS = 32
STAGES = 3
"""Steps in flight: what a step reads is asked for two steps ahead, into shared memory."""
MAX_PIPELINED_BLOCK = 32
"""Rows of a square matrix: with larger ones the backwards spill or run out of shared memory."""


IS_INSTALLED = importlib.util.find_spec("triton") is not None
"""Found out here and not in a call: torch.compile cannot look into `find_spec`."""


def unavailable() -> str | None:
    """Returns why Triton cannot be used here, or None; `dispatch.py` looks at the device."""
    if torch.version.hip:
        return "its launches are tuned for NVIDIA's GPUs"
    return None if IS_INSTALLED else "triton is not installed"


def launch(
    kernel: Any, grid: tuple[int, ...], *args: Any, num_warps: int, **constants: Any
) -> None:
    """Enqueues a kernel on the current stream of its first tensor's device.

    Args:
        kernel: a `triton.jit` function.
        grid: number of programs along each axis; nothing is launched when one is 0.
        *args: tensors, integers and tuples of integers, in the kernel's order.
        num_warps: warps of one program.
        **constants: the kernel's compile-time constants.
    """
    if 0 in grid:
        return
    device = next(x.device for x in args if isinstance(x, Tensor))
    guard = torch.cuda.device(device) if device.type == "cuda" else contextlib.nullcontext()
    with guard:
        kernel[grid](*args, **options(num_warps), **constants)


def options(num_warps: int) -> dict[str, int]:
    """Returns the compiler's options: as many registers as a program of so many warps may have.

    A call has about as many programs as a GPU has multiprocessors, so that room for a second
    one is worth nothing. Left to itself ptxas spills a few bytes to make that room.
    """
    return {"num_warps": num_warps, "maxnreg": min(255, 65536 // (32 * num_warps))}


def rows(tensor: Tensor) -> Tensor:
    """Returns the tensor with a contiguous last dimension; any other strides are kept."""
    if tensor.stride(-1) == 1 or tensor.shape[-1] == 1:
        return tensor
    return tensor.contiguous()


def leading_strides(tensor: Tensor, num_dimensions: int = 3) -> tuple[int, ...]:
    """Returns the strides over T, B and H, in elements."""
    return tensor.stride()[:num_dimensions]


def block_size(size: int) -> int:
    """Returns the power of two that a kernel uses for this many elements, at least 16."""
    return max(16, 1 << (size - 1).bit_length())


def warps_for(num_elements: int, per_thread: int) -> int:
    """Returns the warps, 1 to 16, at which a thread holds `per_thread` of these elements."""
    return min(16, max(1, num_elements // (32 * per_thread)))


def column_blocks(num_rows: int, num_columns: int, min_warps: int = 1) -> dict[str, int]:
    """Returns the launch constants of a kernel whose programs hold a tile of columns of W."""
    block_k, block_v = block_size(num_rows), min(MAX_TILE_COLUMNS, block_size(num_columns))
    return {
        "K": num_rows,
        "V": num_columns,
        "BLOCK_K": block_k,
        "BLOCK_V": block_v,
        "num_warps": max(min_warps, warps_for(block_k * block_v, per_thread=32)),
    }


def square_blocks(size: int, per_thread: int) -> dict[str, int]:
    """Returns the launch constants of a kernel whose programs hold whole matrices.

    Args:
        size: rows and columns of a matrix.
        per_thread: elements of one matrix that a thread holds. Few threads are fast: a sum over
            more than one warp waits at a barrier, many times a step.
    """
    block = block_size(size)
    return {
        "D": size,
        "BLOCK": block,
        "STAGES": STAGES if block <= MAX_PIPELINED_BLOCK else 1,
        "num_warps": warps_for(block * block, per_thread),
    }


def rejects_heads(
    inputs: tuple[Tensor, ...], states: tuple[Tensor, ...], sizes: tuple[int, ...]
) -> str | None:
    """Returns why a kernel over heads of these sizes cannot take the call, or None."""
    return (
        unavailable() or limits.rejects_dtypes(inputs, states) or limits.rejects_head_sizes(*sizes)
    )


def new_partials(like: Tensor, num_tiles: int) -> Tensor:
    """Returns space for a gradient [tiles, ...]: float32 unless one tile has all of it."""
    dtype = like.dtype if num_tiles == 1 else torch.float32
    return like.new_empty((num_tiles, *like.shape), dtype=dtype)


def sum_partials(partials: Tensor, like: Tensor) -> Tensor:
    """Returns the sum over tiles, in a fixed order and in the dtype of `like`."""
    if len(partials) == 1:
        return partials.squeeze(0)
    return partials.sum(0).to(like.dtype)
