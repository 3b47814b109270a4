"""The recurrent Delta Net over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from typing import Literal

from torch import Tensor

from .. import dispatch, inputs
from ..keys import KEY_NORMS, KeyNorm
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "q": "T B H D",
    "k": "T B H D",
    "v": "T B H D",
    "b": "T B H",
    "r_q": "H D D",
    "r_k": "H D D",
    "r_v": "H D D",
    "r_b": "H D",
    "state_w": "B H D D",
    "state_y": "B H D",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def rdn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    b: Tensor,
    r_q: Tensor,
    r_k: Tensor,
    r_v: Tensor,
    r_b: Tensor,
    state_w: Tensor,
    state_y: Tensor,
    start: Tensor,
    *,
    key_norm: KeyNorm = "softmax",
    beta_range: Literal[1, 2] = 1,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Runs a delta rule whose query, key, value and strength see its last output.

    Args:
        q: [T, B, H, D] queries before the recurrent term and `key_norm`.
        k: [T, B, H, D] keys before the recurrent term and `key_norm`.
        v: [T, B, H, D] values before the recurrent term.
        b: [T, B, H] write strengths before the recurrent term and sigmoid.
        r_q: [H, D, D] recurrent weights [from, to] of q, in the state's dtype.
        r_k: [H, D, D] the same of k.
        r_v: [H, D, D] the same of v.
        r_b: [H, D] the same of b.
        state_w: [B, H, D, D] fast weights before step 0; float32 or wider.
        state_y: [B, H, D] output y before step 0, its tanh not yet taken.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        key_norm: queries and keys have positive entries with sum 1 by softmax or by elu + 1 and
            division ("sum"), or length 1 ("l2").
        beta_range: write strengths lie between 0 and this.
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs y [T, B, H, D] in v's dtype, and after step T - 1: W [B, H, D, D] and
        y [B, H, D].
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), an
            option is not one of those listed, or `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    if key_norm not in KEY_NORMS:
        raise ValueError(f"rdn: key_norm must be one of {', '.join(KEY_NORMS)}, got {key_norm!r}")
    if beta_range not in (1, 2):
        raise ValueError(f"rdn: beta_range must be 1 or 2, got {beta_range!r}")
    args = (q, k, v, b, r_q, r_k, r_v, r_b, state_w, state_y, start)
    prepared = inputs.prepare("rdn", LAYOUT, args, bptt)
    options = {"key_norm": key_norm, "beta_range": beta_range}
    return dispatch.run("rdn", BACKENDS, backend, prepared, bptt, **options)
