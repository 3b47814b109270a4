"""What the LSTM's and the GRU's Triton kernels share: a program takes BLOCK elements of [B, N]."""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl


@triton.jit
def units(B, N: tl.constexpr, BLOCK: tl.constexpr):
    """Returns batch row, hidden unit and presence of this program's elements, as int64."""
    element = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    return element // N, element % N, element < B * N


@triton.jit
def carries_over(start, strides, t, row, inside):
    """Returns whether the state enters step t, an int64: an element, and no start."""
    begins = tl.load(start + t * strides[0] + row * strides[1], mask=inside, other=1)
    return inside & (begins == 0)
