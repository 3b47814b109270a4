"""One step of the LSTM in Triton, after the matrix product: one program takes BLOCK elements.

An element is one hidden unit of one batch row. The product with W_hh comes from cuBLAS, which
spreads it over the whole GPU; here the gates take effect, and what a start cuts off is dropped.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_gates import carries_over, units
from ..triton_steps import tanh


@triton.jit
def load_gates(pointer, inside, N: tl.constexpr):
    """Returns i, f, g, o, which lie N apart, as float32."""
    i = tl.load(pointer, mask=inside, other=0.0).to(tl.float32)
    f = tl.load(pointer + N, mask=inside, other=0.0).to(tl.float32)
    g = tl.load(pointer + 2 * N, mask=inside, other=0.0).to(tl.float32)
    o = tl.load(pointer + 3 * N, mask=inside, other=0.0).to(tl.float32)
    return i, f, g, o


@triton.jit
def store_gates(pointer, inside, i, f, g, o, N: tl.constexpr):
    """Stores what `load_gates` would return."""
    tl.store(pointer, i, mask=inside)
    tl.store(pointer + N, f, mask=inside)
    tl.store(pointer + 2 * N, g, mask=inside)
    tl.store(pointer + 3 * N, o, mask=inside)


@triton.jit(do_not_specialize=["t", "T", "B"])
def forward(
    gates,  # [T, B, 4 N]
    recurrent,  # [B, 4 N] contiguous: W_hh h of the step before, whatever a start says
    state_c,  # [B, N] contiguous: c before step 0
    start,  # [T, B]
    y,  # [T, B, N] contiguous, float32
    c,  # [B, N] contiguous: the last c; written
    c_states,  # [T, B, N] contiguous: c after each step, if SAVE
    activations,  # [T, B, 4 N] contiguous: i, f, g, o after their nonlinearity, if SAVE
    gates_strides,
    start_strides,
    t,
    T,
    B,
    N: tl.constexpr,
    BLOCK: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes h and c of step t and, if SAVE, what the backward needs."""
    t = tl.cast(t, tl.int64)
    row, unit, inside = units(B, N, BLOCK)
    step = t * B + row
    carries = carries_over(start, start_strides, t, row, inside)
    gate = t * gates_strides[0] + row * gates_strides[1] + unit
    i, f, g, o = load_gates(gates + gate, inside, N)
    r_i, r_f, r_g, r_o = load_gates(recurrent + row * 4 * N + unit, carries, N)
    i = tl.sigmoid(i + r_i)
    f = tl.sigmoid(f + r_f)
    g = tanh(g + r_g)
    o = tl.sigmoid(o + r_o)
    last_c = state_c if t == 0 else c
    new_c = f * tl.load(last_c + row * N + unit, mask=carries, other=0.0) + i * g
    tl.store(c + row * N + unit, new_c, mask=inside)
    tl.store(y + step * N + unit, o * tanh(new_c), mask=inside)
    if SAVE:
        tl.store(c_states + step * N + unit, new_c, mask=inside)
        store_gates(activations + step * 4 * N + unit, inside, i, f, g, o, N)


@triton.jit(do_not_specialize=["t", "T", "B"])
def backward(
    state_c,
    start,
    c_states,
    activations,
    dy,  # [T, B, N]
    dh,  # [B, N] contiguous: the gradient of h from step t + 1, whatever a start says there
    dc,  # [B, N] contiguous: that of c after step t; becomes that of c before it
    dgates,  # [T, B, 4 N] contiguous, float32
    start_strides,
    dy_strides,
    t,
    T,
    B,
    N: tl.constexpr,
    BLOCK: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes the gradients of the gates of step t and of the c that entered it."""
    t = tl.cast(t, tl.int64)
    row, unit, inside = units(B, N, BLOCK)
    step = t * B + row
    state = row * N + unit
    carries = carries_over(start, start_strides, t, row, inside)
    i, f, g, o = load_gates(activations + step * 4 * N + unit, inside, N)
    squashed = tanh(tl.load(c_states + step * N + unit, mask=inside, other=0.0))
    previous_c = state_c + state if t == 0 else c_states + (step - B) * N + unit
    previous = tl.load(previous_c, mask=carries, other=0.0)
    # Zero times a non-finite weight must not reach the last step of an episode.
    reaches = inside if t == T - 1 else carries_over(start, start_strides, t + 1, row, inside)
    d_h = tl.load(dh + state, mask=reaches, other=0.0)
    dy_step = t * dy_strides[0] + row * dy_strides[1] + unit
    d_h += tl.load(dy + dy_step, mask=inside, other=0.0).to(tl.float32)
    d_c = tl.load(dc + state, mask=inside, other=0.0) + d_h * o * (1 - squashed * squashed)
    d_i = d_c * g * i * (1 - i)
    d_f = d_c * previous * f * (1 - f)
    d_g = d_c * i * (1 - g * g)
    d_o = d_h * squashed * o * (1 - o)
    store_gates(dgates + step * 4 * N + unit, inside, d_i, d_f, d_g, d_o, N)
    d_c = tl.zeros_like(d_c) if TRUNCATE else tl.where(carries, d_c * f, 0.0)
    tl.store(dc + state, d_c, mask=inside)
