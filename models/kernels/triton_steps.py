"""Steps of the recurrences that several Triton kernels share.

A matrix [K, V] is a tile in registers: rows are keys, columns values. Lanes beyond the true
sizes hold zeros, so that sums over a tile need no mask.
"""

# Triton gives a kernel its types when it compiles it.
# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators, allow-untyped-calls

import triton
import triton.language as tl

from .keys import L2_EPSILON, SUM_EPSILON

SHORTEST = tl.constexpr(L2_EPSILON)
ADDED = tl.constexpr(SUM_EPSILON)


@triton.jit
def head_of_program(num_heads):
    """Returns batch and head index, as int64, of a program on the [B * H] axis of the grid."""
    program = tl.program_id(0).to(tl.int64)
    return program // num_heads, program % num_heads


@triton.jit
def at(pointer, strides, t, b, h):
    """Returns the address of element [t, b, h] of a [T, B, H, ...] tensor."""
    return pointer + t * strides[0] + b * strides[1] + h * strides[2]


@triton.jit
def load_row(pointer, lanes, size):
    """Returns `size` contiguous elements as float32."""
    return tl.load(pointer + lanes, mask=lanes < size, other=0.0).to(tl.float32)


@triton.jit
def store_row(pointer, row, lanes, size):
    """Stores `size` contiguous elements in the pointer's dtype."""
    tl.store(pointer + lanes, row.to(pointer.dtype.element_ty), mask=lanes < size)


@triton.jit
def load_square(pointer, index, lanes, size):
    """Returns matrix number `index` of contiguous [size, size] ones, float32."""
    tile = lanes[:, None] * size + lanes[None, :]
    inside = (lanes[:, None] < size) & (lanes[None, :] < size)
    return tl.load(pointer + index * size * size + tile, mask=inside, other=0.0)


@triton.jit
def store_square(pointer, index, matrix, lanes, size):
    """Stores matrix number `index` of contiguous [size, size] ones, float32."""
    tile = lanes[:, None] * size + lanes[None, :]
    inside = (lanes[:, None] < size) & (lanes[None, :] < size)
    tl.store(pointer + index * size * size + tile, matrix, mask=inside)


@triton.jit
def is_start(start, strides, t, b):
    """Returns whether step t begins an episode of batch row b."""
    return tl.load(start + t * strides[0] + b * strides[1]) != 0


@triton.jit
def delta_write(W, k, v, beta):
    """Returns W + k (beta (v - W^T k))^T."""
    missing = v - tl.sum(W * k[:, None], axis=0)
    return W + k[:, None] * (beta * missing)[None, :]


@triton.jit
def delta_backward(W, G, q, k, v, beta, dy):
    """Returns the gradients through one delta step that reads W_t^T q after the write.

    W is the matrix before the write, G the gradient of the matrix after it from later steps.
    The result is G for the matrix before the write, then dq, dk, dv and dbeta.
    """
    G += q[:, None] * dy[None, :]
    missing = v - tl.sum(W * k[:, None], axis=0)
    written = beta * missing
    dwritten = tl.sum(G * k[:, None], axis=0)
    dbeta = tl.sum(dwritten * missing, axis=0)
    dv = beta * dwritten
    dq = tl.sum(W * dy[None, :], axis=1) + k * tl.sum(written * dy, axis=0)
    dk = tl.sum(G * written[None, :] - W * dv[None, :], axis=1)
    G -= k[:, None] * dv[None, :]
    return G, dq, dk, dv, dbeta


@triton.jit
def softmax(x, lanes, size):
    """Returns the softmax of the first `size` lanes, and 0 beyond."""
    x = tl.where(lanes < size, x, float("-inf"))
    e = tl.exp(x - tl.max(x, axis=0))
    return e / tl.sum(e, axis=0)


@triton.jit
def softmax_backward(y, dy):
    """Returns the gradient before the softmax from its output and that output's gradient."""
    return y * (dy - tl.sum(y * dy, axis=0))


@triton.jit
def normalise(x, lanes, size, NORM: tl.constexpr):
    """Returns the key of the first `size` lanes, 0 beyond, and what its backward needs of x.

    That is the number by which it was multiplied, for all norms but softmax. keys.py has the norms.
    """
    if NORM == "softmax":
        key, scale = softmax(x, lanes, size), 1.0
    elif NORM == "l2":
        length = tl.sqrt(tl.sum(x * x, axis=0))
        scale = 1 / tl.where(length < SHORTEST, SHORTEST, length)
        key = x * scale
    else:
        positive = tl.where(x > 0, x + 1, tl.exp(x))
        positive = tl.where(lanes < size, positive, 0.0)
        scale = 1 / (tl.sum(positive, axis=0) + ADDED)
        key = positive * scale
    return key, scale


@triton.jit
def normalise_backward(key, scale, dkey, NORM: tl.constexpr):
    """Returns the gradient before `normalise` from its results and the gradient of its key."""
    if NORM == "softmax":
        dx = softmax_backward(key, dkey)
    else:
        along = tl.sum(key * dkey, axis=0)
        if NORM == "l2":
            along = tl.where(scale < 1 / SHORTEST, along, 0.0)
            dx = scale * (dkey - key * along)
        else:  # elu + 1 is steep where it is above 1
            dx = tl.minimum(key, scale) * (dkey - along)
    return dx


@triton.jit
def tanh(x):
    """Returns tanh; by its series below 0.3, where 1 - exp(-2x) would cancel."""
    x2 = x * x
    series = x * (1 + x2 * (-1 / 3 + x2 * (2 / 15 + x2 * (-17 / 315 + x2 * (62 / 2835)))))
    e = tl.exp(-2 * tl.abs(x))
    magnitude = (1 - e) / (1 + e)
    signed = tl.where(x < 0, -magnitude, magnitude)
    return tl.where(tl.abs(x) < 0.3, series, signed)
