"""The RDN in Triton: one program per head holds W and the recurrent matrices over all T steps.

Vectors over keys lie along the rows of a tile and vectors over values along its columns. The
last output y is a vector over columns, so that R_q and R_k are loaded transposed: their
products with tanh(y) are then sums over columns, and come out along rows as W needs them.
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
    load_square,
    normalise,
    normalise_backward,
    store_row,
    store_square,
    tanh,
)


@triton.jit
def load_recurrent(r_q, r_k, r_v, r_b, h, lanes, D: tl.constexpr):
    """Returns R_q^T, R_k^T, R_v and r_b of head h."""
    inside = (lanes[:, None] < D) & (lanes[None, :] < D)
    transposed = h * D * D + lanes[None, :] * D + lanes[:, None]
    R_q = tl.load(r_q + transposed, mask=inside, other=0.0)
    R_k = tl.load(r_k + transposed, mask=inside, other=0.0)
    return R_q, R_k, load_square(r_v, h, lanes, D), load_row(r_b + h * D, lanes, D)


@triton.jit(do_not_specialize=["T"])
def forward(
    q,  # [T, B, H, D] before the norm, without the recurrent part; so are k, v, b
    k,  # [T, B, H, D]
    v,  # [T, B, H, D]
    b_pre,  # [T, B, H]
    r_q,  # [H, D, D] contiguous
    r_k,
    r_v,
    r_b,  # [H, D] contiguous
    state_w,  # [B, H, D, D] contiguous
    state_y,  # [B, H, D] contiguous
    start,  # [T, B]
    y,  # [T, B, H, D] contiguous
    final_w,  # as the states
    final_y,
    w_states,  # [T, B, H, D, D] contiguous: W before each step's write, if SAVE
    rows_saved,  # [T, B, H, 4, D] contiguous: tanh of the last y, then q, k, v, if SAVE
    numbers_saved,  # [T, B, H, 3] contiguous: beta, then the scales of q and k, if SAVE
    q_strides,
    k_strides,
    v_strides,
    b_strides,
    start_strides,
    B,
    T,
    H,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    KEY_NORM: tl.constexpr,
    BETA_RANGE: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes y, the states after step T - 1 and, if SAVE, what the backward needs."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    R_q, R_k, R_v, R_b = load_recurrent(r_q, r_k, r_v, r_b, h, lanes, D)
    W = load_square(state_w, head, lanes, D)
    output = load_row(state_y + head * D, lanes, D)
    for t in tl.range(T, num_stages=STAGES):
        step = (t * B + b) * H + h
        begins = is_start(start, start_strides, t, b)
        W = tl.where(begins, 0.0, W)
        a = tanh(tl.where(begins, 0.0, output))
        q_row = load_row(at(q, q_strides, t, b, h), lanes, D) + tl.sum(R_q * a[None, :], axis=1)
        k_row = load_row(at(k, k_strides, t, b, h), lanes, D) + tl.sum(R_k * a[None, :], axis=1)
        v_row = load_row(at(v, v_strides, t, b, h), lanes, D) + tl.sum(R_v * a[:, None], axis=0)
        beta = BETA_RANGE * tl.sigmoid(
            tl.load(at(b_pre, b_strides, t, b, h)).to(tl.float32) + tl.sum(R_b * a, axis=0)
        )
        q_row, q_scale = normalise(q_row, lanes, D, KEY_NORM)
        k_row, k_scale = normalise(k_row, lanes, D, KEY_NORM)
        if SAVE:
            store_square(w_states, step, W, lanes, D)
            store_row(rows_saved + (step * 4 + 0) * D, a, lanes, D)
            store_row(rows_saved + (step * 4 + 1) * D, q_row, lanes, D)
            store_row(rows_saved + (step * 4 + 2) * D, k_row, lanes, D)
            store_row(rows_saved + (step * 4 + 3) * D, v_row, lanes, D)
            tl.store(numbers_saved + step * 3 + 0, beta)
            tl.store(numbers_saved + step * 3 + 1, q_scale)
            tl.store(numbers_saved + step * 3 + 2, k_scale)
        W = delta_write(W, k_row, v_row, beta)
        output = tl.sum(W * q_row[:, None], axis=0)
        store_row(y + step * D, output, lanes, D)
    store_square(final_w, head, W, lanes, D)
    store_row(final_y + head * D, output, lanes, D)


@triton.jit(do_not_specialize=["T"])
def backward(
    r_q,
    r_k,
    r_v,
    r_b,
    start,
    w_states,
    rows_saved,
    numbers_saved,
    dy,
    dfinal_w,  # as the states, contiguous
    dfinal_y,
    dslow,  # [T, B, H, 3 D + 1] contiguous: dq, dk, dv, db before norm and sigmoid
    dstate_w,
    dstate_y,
    start_strides,
    dy_strides,
    B,
    T,
    H,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    KEY_NORM: tl.constexpr,
    BETA_RANGE: tl.constexpr,
    TRUNCATE: tl.constexpr,
):
    """Writes the gradients before norm and sigmoid, and those of the initial states."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    R_q, R_k, R_v, R_b = load_recurrent(r_q, r_k, r_v, r_b, h, lanes, D)
    G = load_square(dfinal_w, head, lanes, D)
    carried = load_row(dfinal_y + head * D, lanes, D)
    for i in tl.range(T, num_stages=STAGES):
        t = T - 1 - i
        step = (t * B + b) * H + h
        W = load_square(w_states, step, lanes, D)
        a = load_row(rows_saved + (step * 4 + 0) * D, lanes, D)
        q_row = load_row(rows_saved + (step * 4 + 1) * D, lanes, D)
        k_row = load_row(rows_saved + (step * 4 + 2) * D, lanes, D)
        v_row = load_row(rows_saved + (step * 4 + 3) * D, lanes, D)
        beta = tl.load(numbers_saved + step * 3 + 0)
        q_scale = tl.load(numbers_saved + step * 3 + 1)
        k_scale = tl.load(numbers_saved + step * 3 + 2)
        doutput = carried + load_row(at(dy, dy_strides, t, b, h), lanes, D)
        G, dq_row, dk_row, dv_row, dbeta = delta_backward(W, G, q_row, k_row, v_row, beta, doutput)
        dq_row = normalise_backward(q_row, q_scale, dq_row, KEY_NORM)
        dk_row = normalise_backward(k_row, k_scale, dk_row, KEY_NORM)
        db = dbeta * beta * (1 - beta / BETA_RANGE)
        dslow_t = dslow + step * (3 * D + 1)
        store_row(dslow_t, dq_row, lanes, D)
        store_row(dslow_t + D, dk_row, lanes, D)
        store_row(dslow_t + 2 * D, dv_row, lanes, D)
        tl.store(dslow_t + 3 * D, db)
        if TRUNCATE:
            G = tl.zeros_like(G)
            carried = tl.zeros_like(carried)
        else:
            da = tl.sum(R_q * dq_row[:, None] + R_k * dk_row[:, None], axis=0)
            da += tl.sum(R_v * dv_row[None, :], axis=1) + R_b * db
            begins = is_start(start, start_strides, t, b)
            G = tl.where(begins, 0.0, G)
            carried = tl.where(begins, 0.0, da * (1 - a * a))
    store_square(dstate_w, head, G, lanes, D)
    store_row(dstate_y + head * D, carried, lanes, D)
