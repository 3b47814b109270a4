"""The delta rule in Triton: one program per head and tile of columns of W, over all T steps.

Columns of W do not depend on each other given the keys, so tiles need no communication.
Gradients that sum over columns (dq, dk, dbeta, dalpha) leave one partial sum per tile.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_steps import (
    at,
    delta_backward,
    delta_write,
    head_of_program,
    is_start,
    load_row,
    store_row,
)


@triton.jit(do_not_specialize=["T"])
def forward(
    q,  # [T, B, H, K]
    k,  # [T M, B, H, K]
    v,  # [T M, B, H, V]
    beta,  # [T M, B, H]
    alpha,  # [T, B, H], if DECAYS
    state,  # [B, H, K, V] contiguous
    start,  # [T, B]
    y,  # [T, B, H, V]
    final_state,  # [B, H, K, V] contiguous
    states,  # [T M, B, H, K, V] contiguous: the matrix before each write, if SAVE
    q_strides,
    k_strides,
    v_strides,
    beta_strides,
    alpha_strides,
    start_strides,
    y_strides,
    states_stride,
    T,
    H,
    K: tl.constexpr,
    V: tl.constexpr,
    M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_V: tl.constexpr,
    STAGES: tl.constexpr,
    DECAYS: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes y, the state after step T - 1 and, if SAVE, what the backward needs."""
    b, h = head_of_program(H)
    rows = tl.arange(0, BLOCK_K)
    columns = tl.program_id(1) * BLOCK_V + tl.arange(0, BLOCK_V)
    tile = (b * H + h) * K * V + rows[:, None] * V + columns[None, :]
    inside = (rows[:, None] < K) & (columns[None, :] < V)
    W = tl.load(state + tile, mask=inside, other=0.0)
    q_t = at(q, q_strides, 0, b, h)
    k_t = at(k, k_strides, 0, b, h)
    v_t = at(v, v_strides, 0, b, h)
    beta_t = at(beta, beta_strides, 0, b, h)
    alpha_t = at(alpha, alpha_strides, 0, b, h)
    start_t = start + b * start_strides[1]
    y_t = at(y, y_strides, 0, b, h)
    states_t = states
    for _ in tl.range(T, num_stages=STAGES):
        W = tl.where(tl.load(start_t) != 0, 0.0, W)
        for m in tl.static_range(M):
            if SAVE:
                tl.store(states_t + tile, W, mask=inside)
                states_t += states_stride
            if DECAYS:
                W *= tl.where(m == 0, tl.load(alpha_t).to(tl.float32), 1.0)
            k_row = load_row(k_t, rows, K)
            v_row = load_row(v_t, columns, V)
            W = delta_write(W, k_row, v_row, tl.load(beta_t).to(tl.float32))
            k_t += k_strides[0]
            v_t += v_strides[0]
            beta_t += beta_strides[0]
        read = tl.sum(W * load_row(q_t, rows, K)[:, None], axis=0)
        store_row(y_t, read, columns, V)
        q_t += q_strides[0]
        if DECAYS:
            alpha_t += alpha_strides[0]
        start_t += start_strides[0]
        y_t += y_strides[0]
    tl.store(final_state + tile, W, mask=inside)


@triton.jit(do_not_specialize=["T"])
def backward(
    q,
    k,
    v,
    beta,
    alpha,
    start,
    states,
    dy,
    dfinal_state,  # [B, H, K, V] contiguous
    dq,  # [tiles, T, B, H, K] contiguous
    dk,  # [tiles, T M, B, H, K] contiguous
    dv,  # [T M, B, H, V] contiguous
    dbeta,  # [tiles, T M, B, H] contiguous
    dalpha,  # [tiles, T, B, H] contiguous, if DECAYS
    dstate,  # [B, H, K, V] contiguous
    q_strides,
    k_strides,
    v_strides,
    beta_strides,
    alpha_strides,
    start_strides,
    dy_strides,
    states_stride,
    B,
    T,
    H,
    K: tl.constexpr,
    V: tl.constexpr,
    M: tl.constexpr,
    BLOCK_K: tl.constexpr,
    BLOCK_V: tl.constexpr,
    STAGES: tl.constexpr,
    DECAYS: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes dv, the gradient of the initial state and, per tile of columns, all others."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    part = tl.program_id(1)
    rows = tl.arange(0, BLOCK_K)
    columns = part * BLOCK_V + tl.arange(0, BLOCK_V)
    tile = (b * H + h) * K * V + rows[:, None] * V + columns[None, :]
    inside = (rows[:, None] < K) & (columns[None, :] < V)
    G = tl.load(dfinal_state + tile, mask=inside, other=0.0)
    for i in tl.range(T, num_stages=STAGES):
        t = T - 1 - i
        read = part * T * B * H + (t * B + b) * H + h
        for j in tl.static_range(M):
            s = t * M + M - 1 - j
            write = part * T * M * B * H + (s * B + b) * H + h
            W = tl.load(states + s * states_stride + tile, mask=inside, other=0.0)
            if DECAYS:
                alpha_t = tl.load(at(alpha, alpha_strides, t, b, h)).to(tl.float32)
                W *= tl.where(j == M - 1, alpha_t, 1.0)
            k_row = load_row(at(k, k_strides, s, b, h), rows, K)
            v_row = load_row(at(v, v_strides, s, b, h), columns, V)
            # Only the last write is followed by a read: for the others q and dy are zero.
            q_row = load_row(at(q, q_strides, t, b, h), rows, tl.where(j == 0, K, 0))
            dy_row = load_row(at(dy, dy_strides, t, b, h), columns, tl.where(j == 0, V, 0))
            strength = tl.load(at(beta, beta_strides, s, b, h)).to(tl.float32)
            G, dq_row, dk_row, dv_row, dbeta_s = delta_backward(
                W, G, q_row, k_row, v_row, strength, dy_row
            )
            store_row(dq + read * K, dq_row, rows, tl.where(j == 0, K, 0))
            store_row(dk + write * K, dk_row, rows, K)
            store_row(dv + ((s * B + b) * H + h) * V, dv_row, columns, V)
            tl.store(dbeta + write, dbeta_s.to(dbeta.dtype.element_ty))
        if DECAYS:
            W = tl.load(states + t * M * states_stride + tile, mask=inside, other=0.0)
            tl.store(
                dalpha + read, tl.sum(tl.sum(G * W, axis=1), axis=0).to(dalpha.dtype.element_ty)
            )
            G *= tl.load(at(alpha, alpha_strides, t, b, h)).to(tl.float32)
        cut = TRUNCATE or is_start(start, start_strides, t, b)
        G = tl.where(cut, 0.0, G)
    tl.store(dstate + tile, G, mask=inside)
