"""The self-referential weight matrix over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from torch import Tensor

from .. import dispatch, inputs
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "x": "T B H D",
    "w": "H D 3D+4",
    "state": "B H D 3D+4",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def srwm(
    x: Tensor,
    w: Tensor,
    state: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Runs a weight matrix that maps its input to its output and to its own change.

    Args:
        x: [T, B, H, D] inputs, normalised by the caller.
        w: [H, D, 3 D + 4] the weights at the start of an episode, in the state's dtype: columns
            for the output, the query, the key and four strengths, those of the output's, the
            query's, the key's and the strengths' own columns.
        state: [B, H, D, 3 D + 4] what was added to w before step 0; float32 or wider.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step, but not w.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs [T, B, H, D] in x's dtype and the state [B, H, D, 3 D + 4] after step T - 1.
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), or
            `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (x, w, state, start)
    prepared = inputs.prepare("srwm", LAYOUT, args, bptt)
    return dispatch.run("srwm", BACKENDS, backend, prepared, bptt)
