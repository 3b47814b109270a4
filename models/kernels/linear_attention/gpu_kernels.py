"""Linear attention in Triton: one program per head and tile of columns of W, over all T steps.

Columns of W do not depend on each other, so tiles need no communication. Gradients that sum
over columns (dq, dk) leave one partial sum per tile. The backward saves no matrix: a first loop
rebuilds W forwards for dq, a second one carries the gradient of W backwards for dk and dv.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_steps import at, head_of_program, is_start, load_row, store_row


@triton.jit(do_not_specialize=["T"])
def forward(
    q,  # [T, B, H, K]
    k,  # [T, B, H, K]
    v,  # [T, B, H, V]
    state,  # [B, H, K, V] contiguous
    start,  # [T, B]
    y,  # [T, B, H, V]
    final_state,  # [B, H, K, V] contiguous
    q_strides,
    k_strides,
    v_strides,
    start_strides,
    y_strides,
    T,
    H,
    K: tl.constexpr,
    V: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_V: tl.constexpr,
):
    """Writes y and the state after step T - 1."""
    b, h = head_of_program(H)
    rows = tl.arange(0, BLOCK_K)
    columns = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    tile = (b * H + h) * K * V + rows[:, None] * V + columns[None, :]
    inside = (rows[:, None] < K) & (columns[None, :] < V)
    W = tl.load(state + tile, mask=inside, other=0.0)
    q_t = at(q, q_strides, 0, b, h)
    k_t = at(k, k_strides, 0, b, h)
    v_t = at(v, v_strides, 0, b, h)
    start_t = start + b * start_strides[1]
    y_t = at(y, y_strides, 0, b, h)
    for _ in range(T):
        W = tl.where(tl.load(start_t) != 0, 0.0, W)
        W += load_row(k_t, rows, K)[:, None] * load_row(v_t, columns, V)[None, :]
        read = tl.sum(W * load_row(q_t, rows, K)[:, None], axis=0)
        store_row(y_t, read, columns, V)
        q_t += q_strides[0]
        k_t += k_strides[0]
        v_t += v_strides[0]
        start_t += start_strides[0]
        y_t += y_strides[0]
    tl.store(final_state + tile, W, mask=inside)


@triton.jit(do_not_specialize=["T"])
def backward(
    q,
    k,
    v,
    state,
    start,
    dy,
    dfinal_state,  # [B, H, K, V] contiguous
    dq,  # [tiles, T, B, H, K] contiguous
    dk,  # [tiles, T, B, H, K] contiguous
    dv,  # [T, B, H, V] contiguous
    dstate,  # [B, H, K, V] contiguous
    q_strides,
    k_strides,
    v_strides,
    start_strides,
    dy_strides,
    B,
    T,
    H,
    K: tl.constexpr,
    V: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_V: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes dq and dk per tile of columns, dv and the gradient of the initial state."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    part = tl.program_id(1)
    rows = tl.arange(0, BLOCK_K)
    columns = part * BLOCK_V + tl.arange(0, BLOCK_V)
    tile = (b * H + h) * K * V + rows[:, None] * V + columns[None, :]
    inside = (rows[:, None] < K) & (columns[None, :] < V)
    first_partial = part * T * B * H

    W = tl.load(state + tile, mask=inside, other=0.0)
    for t in range(T):
        W = tl.where(is_start(start, start_strides, t, b), 0.0, W)
        k_row = load_row(at(k, k_strides, t, b, h), rows, K)
        v_row = load_row(at(v, v_strides, t, b, h), columns, V)
        W += k_row[:, None] * v_row[None, :]
        dy_row = load_row(at(dy, dy_strides, t, b, h), columns, V)
        dq_row = tl.sum(W * dy_row[None, :], axis=1)
        store_row(dq + (first_partial + (t * B + b) * H + h) * K, dq_row, rows, K)

    G = tl.load(dfinal_state + tile, mask=inside, other=0.0)
    for i in range(T):
        t = T - 1 - i
        q_row = load_row(at(q, q_strides, t, b, h), rows, K)
        k_row = load_row(at(k, k_strides, t, b, h), rows, K)
        v_row = load_row(at(v, v_strides, t, b, h), columns, V)
        dy_row = load_row(at(dy, dy_strides, t, b, h), columns, V)
        G += q_row[:, None] * dy_row[None, :]
        step = (t * B + b) * H + h
        store_row(dk + (first_partial + step) * K, tl.sum(G * v_row[None, :], axis=1), rows, K)
        store_row(dv + step * V, tl.sum(G * k_row[:, None], axis=0), columns, V)
        cut = TRUNCATE or is_start(start, start_strides, t, b)
        G = tl.where(cut, 0.0, G)
    tl.store(dstate + tile, G, mask=inside)
