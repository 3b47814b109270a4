"""The Delta RNN over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from torch import Tensor

from .. import dispatch, inputs
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor, Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "q": "T B H D",
    "k": "T B H D",
    "v": "T B H D",
    "beta": "T B H",
    "rk": "T B H D",
    "rv": "T B H D",
    "rbeta": "T B H",
    "state_w": "B H D D",
    "state_r": "B H D D",
    "state_h": "B H D",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def delta_rnn(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    rk: Tensor,
    rv: Tensor,
    rbeta: Tensor,
    state_w: Tensor,
    state_r: Tensor,
    state_h: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Runs a Delta Net whose output feeds back through a second fast weight matrix.

    Args:
        q: [T, B, H, D] queries, normalised by the caller.
        k: [T, B, H, D] keys, normalised by the caller.
        v: [T, B, H, D] values.
        beta: [T, B, H] write strengths of W, squashed by the caller.
        rk: [T, B, H, D] keys of R, normalised by the caller.
        rv: [T, B, H, D] values of R.
        rbeta: [T, B, H] write strengths of R, squashed by the caller.
        state_w: [B, H, D, D] fast weights W before step 0; float32 or wider.
        state_r: [B, H, D, D] recurrent fast weights R before step 0.
        state_h: [B, H, D] output h before step 0, its softmax not yet taken.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs h [T, B, H, D] in v's dtype, and after step T - 1: W [B, H, D, D],
        R [B, H, D, D] and h [B, H, D].
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), or
            `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (q, k, v, beta, rk, rv, rbeta, state_w, state_r, state_h, start)
    prepared = inputs.prepare("delta_rnn", LAYOUT, args, bptt)
    return dispatch.run("delta_rnn", BACKENDS, backend, prepared, bptt)
