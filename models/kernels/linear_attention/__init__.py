"""Linear attention over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from torch import Tensor

from .. import dispatch, inputs
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "q": "T B H K",
    "k": "T B H K",
    "v": "T B H V",
    "state": "B H K V",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def linear_attention(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    state: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Adds each value at its key to a fast weight matrix, then reads at the query.

    Args:
        q: [T, B, H, K] queries, mapped to features by the caller.
        k: [T, B, H, K] keys, mapped to features by the caller.
        v: [T, B, H, V] values.
        state: [B, H, K, V] fast weights before step 0; float32 or wider.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs [T, B, H, V] in v's dtype and the state [B, H, K, V] after step T - 1.
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), or
            `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (q, k, v, state, start)
    prepared = inputs.prepare("linear_attention", LAYOUT, args, bptt)
    return dispatch.run("linear_attention", BACKENDS, backend, prepared, bptt)
