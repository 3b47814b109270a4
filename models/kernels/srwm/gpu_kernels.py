"""The self-referential weight matrix in Triton: one program per head holds W over all T steps.

W has four parts, for the output, the query, the key and four strengths: three square tiles and a
tile of four columns. Vectors over keys lie along the rows of a tile, what W maps to along columns.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from ..triton_steps import (
    at,
    head_of_program,
    is_start,
    load_row,
    softmax,
    softmax_backward,
    store_row,
)


@triton.jit
def part_of(pointer, index, first, lanes, columns, D: tl.constexpr):
    """Returns the addresses of the part from column `first` of matrix number `index`."""
    row = 3 * D + 4
    return pointer + index * D * row + lanes[:, None] * row + first + columns[None, :]


@triton.jit
def load_matrix(pointer, index, lanes, D: tl.constexpr):
    """Returns the four parts of matrix number `index` of contiguous [D, 3 D + 4] ones."""
    four = tl.arange(0, 4)
    square = (lanes[:, None] < D) & (lanes[None, :] < D)
    strip = (lanes[:, None] < D) & (four[None, :] < 4)
    y = tl.load(part_of(pointer, index, 0, lanes, lanes, D), mask=square, other=0.0)
    q = tl.load(part_of(pointer, index, D, lanes, lanes, D), mask=square, other=0.0)
    k = tl.load(part_of(pointer, index, 2 * D, lanes, lanes, D), mask=square, other=0.0)
    b = tl.load(part_of(pointer, index, 3 * D, lanes, four, D), mask=strip, other=0.0)
    return y, q, k, b


@triton.jit
def store_matrix(pointer, index, y, q, k, b, lanes, D: tl.constexpr):
    """Stores the four parts of matrix number `index` of contiguous [D, 3 D + 4] ones."""
    four = tl.arange(0, 4)
    square = (lanes[:, None] < D) & (lanes[None, :] < D)
    strip = (lanes[:, None] < D) & (four[None, :] < 4)
    tl.store(part_of(pointer, index, 0, lanes, lanes, D), y, mask=square)
    tl.store(part_of(pointer, index, D, lanes, lanes, D), q, mask=square)
    tl.store(part_of(pointer, index, 2 * D, lanes, lanes, D), k, mask=square)
    tl.store(part_of(pointer, index, 3 * D, lanes, four, D), b, mask=strip)


@triton.jit
def store_parts(pointer, y, q, k, b, lanes, D: tl.constexpr):
    """Stores a row of 3 D + 4."""
    store_row(pointer, y, lanes, D)
    store_row(pointer + D, q, lanes, D)
    store_row(pointer + 2 * D, k, lanes, D)
    store_row(pointer + 3 * D, b, tl.arange(0, 4), 4)


@triton.jit
def down(y, q, k, b, x):
    """Returns the four parts of W^T x."""
    return (
        tl.sum(y * x[:, None], axis=0),
        tl.sum(q * x[:, None], axis=0),
        tl.sum(k * x[:, None], axis=0),
        tl.sum(b * x[:, None], axis=0),
    )


@triton.jit
def across(y, q, k, b, y_row, q_row, k_row, b_row):
    """Returns W z for the four parts of z."""
    wide = tl.sum(y * y_row[None, :] + q * q_row[None, :] + k * k_row[None, :], axis=1)
    return wide + tl.sum(b * b_row[None, :], axis=1)


@triton.jit
def strengths(beta):
    """Returns the four strengths of a vector of four, one by one."""
    four = tl.arange(0, 4)
    return (
        tl.sum(tl.where(four == 0, beta, 0.0), axis=0),
        tl.sum(tl.where(four == 1, beta, 0.0), axis=0),
        tl.sum(tl.where(four == 2, beta, 0.0), axis=0),
        tl.sum(tl.where(four == 3, beta, 0.0), axis=0),
    )


@triton.jit(do_not_specialize=["T"])
def forward(
    x,  # [T, B, H, D]
    w,  # [H, D, E] contiguous, E = 3 D + 4
    state,  # [B, H, D, E] contiguous
    start,  # [T, B]
    y,  # [T, B, H, D] contiguous
    final_state,  # as the state
    matrices,  # [T, B, H, D, E] contiguous: w + state before each step's write, if SAVE
    rows_saved,  # [T, B, H, 2 D + 4] contiguous: query, key, strengths, if SAVE
    x_strides,
    start_strides,
    B,
    T,
    H,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes y, the state after step T - 1 and, if SAVE, what the backward needs."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    w_y, w_q, w_k, w_b = load_matrix(w, h, lanes, D)
    s_y, s_q, s_k, s_b = load_matrix(state, head, lanes, D)
    for t in tl.range(T, num_stages=STAGES):
        step = (t * B + b) * H + h
        begins = is_start(start, start_strides, t, b)
        s_y = tl.where(begins, 0.0, s_y)
        s_q = tl.where(begins, 0.0, s_q)
        s_k = tl.where(begins, 0.0, s_k)
        s_b = tl.where(begins, 0.0, s_b)
        m_y, m_q, m_k, m_b = w_y + s_y, w_q + s_q, w_k + s_k, w_b + s_b
        x_row = load_row(at(x, x_strides, t, b, h), lanes, D)
        output, q, k, beta = down(m_y, m_q, m_k, m_b, x_row)
        q = softmax(q, lanes, D)
        k = softmax(k, lanes, D)
        beta = tl.sigmoid(beta)
        store_row(y + step * D, output, lanes, D)
        if SAVE:
            store_matrix(matrices, step, m_y, m_q, m_k, m_b, lanes, D)
            saved = rows_saved + step * (2 * D + 4)
            store_row(saved, q, lanes, D)
            store_row(saved + D, k, lanes, D)
            store_row(saved + 2 * D, beta, tl.arange(0, 4), 4)
        d_y, d_q, d_k, d_b = down(m_y, m_q, m_k, m_b, q - k)
        beta_y, beta_q, beta_k, beta_b = strengths(beta)
        s_y += k[:, None] * (beta_y * d_y)[None, :]
        s_q += k[:, None] * (beta_q * d_q)[None, :]
        s_k += k[:, None] * (beta_k * d_k)[None, :]
        s_b += k[:, None] * (beta_b * d_b)[None, :]
    store_matrix(final_state, head, s_y, s_q, s_k, s_b, lanes, D)


@triton.jit(do_not_specialize=["T"])
def backward(
    x,
    start,
    matrices,
    rows_saved,
    dy,
    dfinal_state,  # as the state, contiguous
    dx,  # [T, B, H, D] contiguous
    doutputs,  # [T, B, H, 2, E] contiguous: gradients of W^T x and of W^T (query - key)
    dstate,
    x_strides,
    start_strides,
    dy_strides,
    B,
    T,
    H,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes the gradients of x, of what W was multiplied to, and of the initial state."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    four = tl.arange(0, 4)
    g_y, g_q, g_k, g_b = load_matrix(dfinal_state, head, lanes, D)
    for i in tl.range(T, num_stages=STAGES):
        t = T - 1 - i
        step = (t * B + b) * H + h
        m_y, m_q, m_k, m_b = load_matrix(matrices, step, lanes, D)
        saved = rows_saved + step * (2 * D + 4)
        q = load_row(saved, lanes, D)
        k = load_row(saved + D, lanes, D)
        beta = load_row(saved + 2 * D, four, 4)
        beta_y, beta_q, beta_k, beta_b = strengths(beta)
        x_row = load_row(at(x, x_strides, t, b, h), lanes, D)

        # The write k (beta d)^T, with d = W^T (q - k).
        d_y, d_q, d_k, d_b = down(m_y, m_q, m_k, m_b, q - k)
        dk = across(g_y, g_q, g_k, g_b, beta_y * d_y, beta_q * d_q, beta_k * d_k, beta_b * d_b)
        e_y, e_q, e_k, e_b = down(g_y, g_q, g_k, g_b, k)
        dbeta = tl.where(four == 0, tl.sum(e_y * d_y, axis=0), 0.0)
        dbeta = tl.where(four == 1, tl.sum(e_q * d_q, axis=0), dbeta)
        dbeta = tl.where(four == 2, tl.sum(e_k * d_k, axis=0), dbeta)
        dbeta = tl.where(four == 3, tl.sum(e_b * d_b, axis=0), dbeta)
        e_y, e_q, e_k, e_b = beta_y * e_y, beta_q * e_q, beta_k * e_k, beta_b * e_b
        dq = across(m_y, m_q, m_k, m_b, e_y, e_q, e_k, e_b)

        # The product W^T x and its activations.
        o_y = load_row(at(dy, dy_strides, t, b, h), lanes, D)
        o_q = softmax_backward(q, dq)
        o_k = softmax_backward(k, dk - dq)
        o_b = dbeta * beta * (1 - beta)
        store_row(dx + step * D, across(m_y, m_q, m_k, m_b, o_y, o_q, o_k, o_b), lanes, D)
        doutputs_t = doutputs + step * 2 * (3 * D + 4)
        store_parts(doutputs_t, o_y, o_q, o_k, o_b, lanes, D)
        store_parts(doutputs_t + 3 * D + 4, e_y, e_q, e_k, e_b, lanes, D)

        cut = TRUNCATE or is_start(start, start_strides, t, b)
        difference = (q - k)[:, None]
        x_column = x_row[:, None]
        g_y = tl.where(cut, 0.0, g_y + difference * e_y[None, :] + x_column * o_y[None, :])
        g_q = tl.where(cut, 0.0, g_q + difference * e_q[None, :] + x_column * o_q[None, :])
        g_k = tl.where(cut, 0.0, g_k + difference * e_k[None, :] + x_column * o_k[None, :])
        g_b = tl.where(cut, 0.0, g_b + difference * e_b[None, :] + x_column * o_b[None, :])
    store_matrix(dstate, head, g_y, g_q, g_k, g_b, lanes, D)
