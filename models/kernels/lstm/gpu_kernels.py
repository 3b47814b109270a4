"""The LSTM recurrence in Triton: one program takes 16 batch rows over all T steps.

W_hh does not fit into a program. Each step streams it, from L2 at best, through tiles of
BLOCK_N hidden units and BLOCK_K inputs; h travels between the steps through global memory,
which `tl.debug_barrier` orders within the program. No two programs touch the same row.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_steps import tanh


@triton.jit
def load_tile(pointer, row_index, columns, inside):
    """Returns [rows, columns] of a matrix, `row_index` holding each row's offset."""
    return tl.load(pointer + row_index[:, None] + columns[None, :], mask=inside, other=0.0)


@triton.jit
def carries_over(start, strides, t, rows, is_row):
    """Returns [rows], true where the state enters step t: a row, and no start."""
    begins = tl.load(start + t * strides[0] + rows * strides[1], mask=is_row, other=1)
    return is_row & (begins == 0)


@triton.jit
def load_gates(pointer, row_index, columns, inside, N: tl.constexpr):
    """Returns i, f, g, o, each as `load_tile` of a matrix of 4 N columns, as float32."""
    i = load_tile(pointer, row_index, columns, inside)
    f = load_tile(pointer + N, row_index, columns, inside)
    g = load_tile(pointer + 2 * N, row_index, columns, inside)
    o = load_tile(pointer + 3 * N, row_index, columns, inside)
    return i.to(tl.float32), f.to(tl.float32), g.to(tl.float32), o.to(tl.float32)


@triton.jit
def store_gates(pointer, row_index, columns, inside, i, f, g, o, N: tl.constexpr):
    """Stores what `load_gates` would return."""
    tile = pointer + row_index[:, None] + columns[None, :]
    tl.store(tile, i, mask=inside)
    tl.store(tile + N, f, mask=inside)
    tl.store(tile + 2 * N, g, mask=inside)
    tl.store(tile + 3 * N, o, mask=inside)


@triton.jit
def add_recurrent(
    i, f, g, o, h, w_hh, h_rows, carries, units, N: tl.constexpr, BLOCK_K: tl.constexpr
):
    """Returns i, f, g, o [BLOCK_B, BLOCK_N] of these units plus W_hh h, where h carries over."""
    for first in range(0, N, BLOCK_K):
        inputs = first + tl.arange(0, BLOCK_K)
        is_input = inputs < N
        h_tile = load_tile(h, h_rows, inputs, carries[:, None] & is_input[None, :])
        weights = w_hh + units[None, :] * N + inputs[:, None]
        is_weight = is_input[:, None] & (units < N)[None, :]
        w_i = tl.load(weights, mask=is_weight, other=0.0)
        i = tl.dot(h_tile, w_i, i, input_precision="ieee")
        w_f = tl.load(weights + N * N, mask=is_weight, other=0.0)
        f = tl.dot(h_tile, w_f, f, input_precision="ieee")
        w_g = tl.load(weights + 2 * N * N, mask=is_weight, other=0.0)
        g = tl.dot(h_tile, w_g, g, input_precision="ieee")
        w_o = tl.load(weights + 3 * N * N, mask=is_weight, other=0.0)
        o = tl.dot(h_tile, w_o, o, input_precision="ieee")
    return i, f, g, o


@triton.jit(do_not_specialize=["T", "B"])
def forward(
    gates,  # [T, B, 4 N]
    w_hh,  # [4 N, N] contiguous
    state_h,  # [B, N] contiguous
    state_c,
    start,  # [T, B]
    y,  # [T, B, N] contiguous, float32
    final_h,  # [B, N] contiguous
    final_c,  # and where c lives between the steps
    c_states,  # [T, B, N] contiguous: c after each step, if SAVE
    activations,  # [T, B, 4 N] contiguous: i, f, g, o after their nonlinearity, if SAVE
    gates_strides,
    start_strides,
    T,
    B,
    N: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes h, the states after step T - 1 and, if SAVE, what the backward needs."""
    T = T.to(tl.int64)
    rows = tl.program_id(0).to(tl.int64) * BLOCK_B + tl.arange(0, BLOCK_B)
    is_row = rows < B
    last_h = state_h
    last_c = state_c
    for t in range(T):
        steps = t * B + rows
        carries = carries_over(start, start_strides, t, rows, is_row)
        for first in range(0, N, BLOCK_N):
            units = first + tl.arange(0, BLOCK_N)
            is_unit = units < N
            inside = is_row[:, None] & is_unit[None, :]
            gate_rows = t * gates_strides[0] + rows * gates_strides[1]
            i, f, g, o = load_gates(gates, gate_rows, units, inside, N)
            i, f, g, o = add_recurrent(
                i, f, g, o, last_h, w_hh, rows * N, carries, units, N, BLOCK_K
            )
            i = tl.sigmoid(i)
            f = tl.sigmoid(f)
            g = tanh(g)
            o = tl.sigmoid(o)
            c = load_tile(last_c, rows * N, units, carries[:, None] & is_unit[None, :])
            c = f * c + i * g
            h = o * tanh(c)
            state = rows[:, None] * N + units[None, :]
            tl.store(final_c + state, c, mask=inside)
            tl.store(y + steps[:, None] * N + units[None, :], h, mask=inside)
            if SAVE:
                tl.store(c_states + steps[:, None] * N + units[None, :], c, mask=inside)
                store_gates(activations, steps * 4 * N, units, inside, i, f, g, o, N)
            if t == T - 1:
                tl.store(final_h + state, h, mask=inside)
        tl.debug_barrier()  # the next step reads every unit of this one
        last_h = y + t * B * N
        last_c = final_c


@triton.jit(do_not_specialize=["T", "B"])
def backward(
    w_hh,
    state_c,
    start,
    c_states,
    activations,
    dy,  # [T, B, N]
    dfinal_h,  # [B, N] contiguous
    dfinal_c,
    dgates,  # [T, B, 4 N] contiguous, float32
    dstate_h,  # [B, N] contiguous, and where the gradient of h lives between the steps
    dstate_c,
    start_strides,
    dy_strides,
    T,
    B,
    N: tl.constexpr,
    BLOCK_B: tl.constexpr,
    BLOCK_N: tl.constexpr,
    BLOCK_K: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes the gradients of the gates and of the initial states."""
    T = T.to(tl.int64)
    rows = tl.program_id(0).to(tl.int64) * BLOCK_B + tl.arange(0, BLOCK_B)
    is_row = rows < B
    next_dh = dfinal_h
    next_dc = dfinal_c
    for reverse in range(T):
        t = T - 1 - reverse
        steps = t * B + rows
        carries = carries_over(start, start_strides, t, rows, is_row)
        last_c = c_states + (t - 1) * B * N
        if t == 0:
            last_c = state_c
        for first in range(0, N, BLOCK_N):
            units = first + tl.arange(0, BLOCK_N)
            is_unit = units < N
            inside = is_row[:, None] & is_unit[None, :]
            i, f, g, o = load_gates(activations, steps * 4 * N, units, inside, N)
            c = tanh(load_tile(c_states, steps * N, units, inside))
            previous = load_tile(last_c, rows * N, units, carries[:, None] & is_unit[None, :])
            dh = load_tile(next_dh, rows * N, units, inside)
            dy_rows = t * dy_strides[0] + rows * dy_strides[1]
            dh += load_tile(dy, dy_rows, units, inside).to(tl.float32)
            dc = load_tile(next_dc, rows * N, units, inside) + dh * o * (1 - c * c)
            d_i = dc * g * i * (1 - i)
            d_f = dc * previous * f * (1 - f)
            d_g = dc * i * (1 - g * g)
            d_o = dh * c * o * (1 - o)
            store_gates(dgates, steps * 4 * N, units, inside, d_i, d_f, d_g, d_o, N)
            dc = tl.zeros_like(dc) if TRUNCATE else tl.where(carries[:, None], dc * f, 0.0)
            tl.store(dstate_c + rows[:, None] * N + units[None, :], dc, mask=inside)
        tl.debug_barrier()  # what follows reads every gate of this step, and rewrites dh
        for first in range(0, N, BLOCK_N):
            units = first + tl.arange(0, BLOCK_N)
            is_unit = units < N
            dh = tl.zeros((BLOCK_B, BLOCK_N), tl.float32)
            if not TRUNCATE:
                for first_gate in range(0, 4 * N, BLOCK_K):
                    gate = first_gate + tl.arange(0, BLOCK_K)
                    is_gate = gate < 4 * N
                    d = load_tile(dgates, steps * 4 * N, gate, carries[:, None] & is_gate[None, :])
                    w = load_tile(w_hh, gate * N, units, is_gate[:, None] & is_unit[None, :])
                    dh = tl.dot(d, w, dh, input_precision="ieee")
            # Zero times a non-finite weight must not reach an episode's first step.
            dh = tl.where(carries[:, None], dh, 0.0)
            state = rows[:, None] * N + units[None, :]
            tl.store(dstate_h + state, dh, mask=is_row[:, None] & is_unit[None, :])
        tl.debug_barrier()
        next_dh = dstate_h
        next_dc = dstate_c
