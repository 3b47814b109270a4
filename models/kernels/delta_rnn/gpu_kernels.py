"""The Delta RNN in Triton: one program per head holds W and R over all T steps.

The softmax of the last output needs every column, so that a head is not split over programs.
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
    softmax,
    softmax_backward,
    store_row,
    store_square,
)


@triton.jit
def load_write(k, v, beta, k_strides, v_strides, beta_strides, t, b, h, lanes, D: tl.constexpr):
    """Returns what step t of head h writes: key, value and strength, float32."""
    k_row = load_row(at(k, k_strides, t, b, h), lanes, D)
    v_row = load_row(at(v, v_strides, t, b, h), lanes, D)
    return k_row, v_row, tl.load(at(beta, beta_strides, t, b, h)).to(tl.float32)


@triton.jit
def store_write(dk, dv, dbeta, step, dk_row, dv_row, dstrength, lanes, D: tl.constexpr):
    """Stores the gradients of what a step writes."""
    store_row(dk + step * D, dk_row, lanes, D)
    store_row(dv + step * D, dv_row, lanes, D)
    tl.store(dbeta + step, dstrength.to(dbeta.dtype.element_ty))


@triton.jit(do_not_specialize=["T"])
def forward(
    q,  # [T, B, H, D]
    k,  # [T, B, H, D]
    v,  # [T, B, H, D]
    beta,  # [T, B, H]
    rk,  # [T, B, H, D]
    rv,  # [T, B, H, D]
    rbeta,  # [T, B, H]
    state_w,  # [B, H, D, D] contiguous
    state_r,  # [B, H, D, D] contiguous
    state_h,  # [B, H, D] contiguous
    start,  # [T, B]
    y,  # [T, B, H, D] contiguous
    final_w,  # as the states
    final_r,
    final_h,
    w_states,  # [T, B, H, D, D] contiguous: W before each step's write, if SAVE
    r_states,  # the same of R
    reads,  # [T, B, H, D] contiguous: softmax of the last output, if SAVE
    q_strides,
    k_strides,
    v_strides,
    beta_strides,
    rk_strides,
    rv_strides,
    rbeta_strides,
    start_strides,
    B,
    T,
    H,
    D: tl.constexpr,
    BLOCK: tl.constexpr,
    STAGES: tl.constexpr,
    SAVE: tl.constexpr,
):
    """Writes h, the states after step T - 1 and, if SAVE, what the backward needs."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    W = load_square(state_w, head, lanes, D)
    R = load_square(state_r, head, lanes, D)
    output = load_row(state_h + head * D, lanes, D)
    for t in tl.range(T, num_stages=STAGES):
        step = (t * B + b) * H + h
        begins = is_start(start, start_strides, t, b)
        W = tl.where(begins, 0.0, W)
        R = tl.where(begins, 0.0, R)
        read = softmax(tl.where(begins, 0.0, output), lanes, D)
        if SAVE:
            store_square(w_states, step, W, lanes, D)
            store_square(r_states, step, R, lanes, D)
            store_row(reads + step * D, read, lanes, D)
        k_row, v_row, strength = load_write(
            k, v, beta, k_strides, v_strides, beta_strides, t, b, h, lanes, D
        )
        W = delta_write(W, k_row, v_row, strength)
        q_row = load_row(at(q, q_strides, t, b, h), lanes, D)
        output = tl.sum(W * q_row[:, None], axis=0)
        k_row, v_row, strength = load_write(
            rk, rv, rbeta, rk_strides, rv_strides, rbeta_strides, t, b, h, lanes, D
        )
        R = delta_write(R, k_row, v_row, strength)
        output += tl.sum(R * read[:, None], axis=0)
        store_row(y + step * D, output, lanes, D)
    store_square(final_w, head, W, lanes, D)
    store_square(final_r, head, R, lanes, D)
    store_row(final_h + head * D, output, lanes, D)


@triton.jit(do_not_specialize=["T"])
def backward(
    q,
    k,
    v,
    beta,
    rk,
    rv,
    rbeta,
    start,
    w_states,
    r_states,
    reads,
    dy,
    dfinal_w,  # as the states, contiguous
    dfinal_r,
    dfinal_h,
    dq,  # gradients are contiguous
    dk,
    dv,
    dbeta,
    drk,
    drv,
    drbeta,
    dstate_w,
    dstate_r,
    dstate_h,
    q_strides,
    k_strides,
    v_strides,
    beta_strides,
    rk_strides,
    rv_strides,
    rbeta_strides,
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
    """Writes the gradient of every sequence and of the initial states."""
    b, h = head_of_program(H)
    T = T.to(tl.int64)
    head = b * H + h
    lanes = tl.arange(0, BLOCK)
    G_w = load_square(dfinal_w, head, lanes, D)
    G_r = load_square(dfinal_r, head, lanes, D)
    carried = load_row(dfinal_h + head * D, lanes, D)
    for i in tl.range(T, num_stages=STAGES):
        t = T - 1 - i
        step = (t * B + b) * H + h
        doutput = carried + load_row(at(dy, dy_strides, t, b, h), lanes, D)

        R = load_square(r_states, step, lanes, D)
        read = load_row(reads + step * D, lanes, D)
        k_row, v_row, strength = load_write(
            rk, rv, rbeta, rk_strides, rv_strides, rbeta_strides, t, b, h, lanes, D
        )
        G_r, dread, dk_row, dv_row, dstrength = delta_backward(
            R, G_r, read, k_row, v_row, strength, doutput
        )
        store_write(drk, drv, drbeta, step, dk_row, dv_row, dstrength, lanes, D)
        cut = TRUNCATE or is_start(start, start_strides, t, b)
        carried = tl.where(cut, 0.0, softmax_backward(read, dread))
        G_r = tl.where(cut, 0.0, G_r)

        W = load_square(w_states, step, lanes, D)
        q_row = load_row(at(q, q_strides, t, b, h), lanes, D)
        k_row, v_row, strength = load_write(
            k, v, beta, k_strides, v_strides, beta_strides, t, b, h, lanes, D
        )
        G_w, dq_row, dk_row, dv_row, dstrength = delta_backward(
            W, G_w, q_row, k_row, v_row, strength, doutput
        )
        store_row(dq + step * D, dq_row, lanes, D)
        store_write(dk, dv, dbeta, step, dk_row, dv_row, dstrength, lanes, D)

        G_w = tl.where(cut, 0.0, G_w)
    store_square(dstate_w, head, G_w, lanes, D)
    store_square(dstate_r, head, G_r, lanes, D)
    store_row(dstate_h + head * D, carried, lanes, D)
