"""One step of the GRU in Triton, after the matrix product: one program takes BLOCK elements.

As in the LSTM's, an element is one hidden unit of one batch row, and the product with W_hh comes
from cuBLAS.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_gates import carries_over, units
from ..triton_steps import tanh


@triton.jit
def load_three(pointer, inside, N: tl.constexpr):
    """Returns what lies N apart for r, z and n, as float32."""
    r = tl.load(pointer, mask=inside, other=0.0).to(tl.float32)
    z = tl.load(pointer + N, mask=inside, other=0.0).to(tl.float32)
    n = tl.load(pointer + 2 * N, mask=inside, other=0.0).to(tl.float32)
    return r, z, n


@triton.jit
def store_three(pointer, inside, r, z, n, N: tl.constexpr):
    """Stores what `load_three` would return."""
    tl.store(pointer, r, mask=inside)
    tl.store(pointer + N, z, mask=inside)
    tl.store(pointer + 2 * N, n, mask=inside)


@triton.jit(do_not_specialize=["t", "T", "B"])
def forward(
    gates,  # [T, B, 3 N]
    recurrent,  # [B, 3 N] contiguous: W_hh h of the step before, whatever a start says
    b_hh,  # [3 N] contiguous
    last_h,  # [B, N] contiguous: h of the step before, whatever a start says
    start,  # [T, B]
    y,  # [T, B, N] contiguous, float32
    activations,  # [T, B, 4 N] contiguous: r, z, n and what r scales, if SAVE
    gates_strides,
    start_strides,
    t,
    T,
    B,
    N: tl.constexpr,
    BLOCK: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes h of step t and, if SAVE, what the backward needs."""
    t = tl.cast(t, tl.int64)
    row, unit, inside = units(B, N, BLOCK)
    step = t * B + row
    carries = carries_over(start, start_strides, t, row, inside)
    gate = t * gates_strides[0] + row * gates_strides[1] + unit
    r, z, n = load_three(gates + gate, inside, N)
    s_r, s_z, s_n = load_three(recurrent + row * 3 * N + unit, carries, N)
    b_r, b_z, b_n = load_three(b_hh + unit, inside, N)
    r = tl.sigmoid(r + (s_r + b_r))
    z = tl.sigmoid(z + (s_z + b_z))
    scaled = s_n + b_n
    n = tanh(n + r * scaled)
    h = (1 - z) * n + z * tl.load(last_h + row * N + unit, mask=carries, other=0.0)
    tl.store(y + step * N + unit, h, mask=inside)
    if SAVE:
        kept = activations + step * 4 * N + unit
        store_three(kept, inside, r, z, n, N)
        tl.store(kept + 3 * N, scaled, mask=inside)


@triton.jit(do_not_specialize=["t", "T", "B"])
def backward(
    start,
    last_h,
    activations,
    dy,  # [T, B, N]
    dh,  # [B, N] contiguous: the gradient of h through W_hh from step t + 1, whatever starts there
    direct,  # [B, N] contiguous: that through z; becomes that of the h before
    dgates,  # [T, B, 3 N] contiguous, float32
    dproducts,  # [T, B, 3 N] contiguous, float32: that of W_hh h + b_hh
    start_strides,
    dy_strides,
    t,
    T,
    B,
    N: tl.constexpr,
    BLOCK: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes the gradients of the gates and products of step t, and of the h before through z."""
    t = tl.cast(t, tl.int64)
    row, unit, inside = units(B, N, BLOCK)
    step = t * B + row
    state = row * N + unit
    carries = carries_over(start, start_strides, t, row, inside)
    kept = activations + step * 4 * N + unit
    r, z, n = load_three(kept, inside, N)
    scaled = tl.load(kept + 3 * N, mask=inside, other=0.0)
    before = tl.load(last_h + state, mask=carries, other=0.0)
    # Zero times a non-finite weight must not reach the last step of an episode.
    reaches = inside if t == T - 1 else carries_over(start, start_strides, t + 1, row, inside)
    d_h = tl.load(dh + state, mask=reaches, other=0.0)
    d_h += tl.load(direct + state, mask=inside, other=0.0)
    dy_step = t * dy_strides[0] + row * dy_strides[1] + unit
    d_h += tl.load(dy + dy_step, mask=inside, other=0.0).to(tl.float32)
    d_n = d_h * (1 - z) * (1 - n * n)
    d_r = d_n * scaled * r * (1 - r)
    d_z = d_h * (before - n) * z * (1 - z)
    store_three(dgates + step * 3 * N + unit, inside, d_r, d_z, d_n, N)
    store_three(dproducts + step * 3 * N + unit, inside, d_r, d_z, d_n * r, N)
    passed = tl.zeros_like(d_h) if TRUNCATE else tl.where(carries, d_h * z, 0.0)
    tl.store(direct + state, passed, mask=inside)
