"""A GRU layer over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from torch import Tensor

from .. import dispatch, inputs
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "gates": "T B 3N",
    "w_hh": "3N N",
    "b_hh": "3N",
    "state_h": "B N",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def gru(
    gates: Tensor,
    w_hh: Tensor,
    b_hh: Tensor,
    state_h: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Runs the recurrent half of a GRU layer; the caller has projected the inputs.

    Args:
        gates: [T, B, 3N] W_ih x + b_ih in the order r, z, n.
        w_hh: [3N, N] `torch.nn.GRU`'s weight_hh_l0, in the state's dtype.
        b_hh: [3N] its bias_hh_l0: the reset gate scales the last third.
        state_h: [B, N] hidden vector before step 0; float32 or wider.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs h [T, B, N] in the gates' dtype, and h [B, N] after step T - 1.
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), or
            `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (gates, w_hh, b_hh, state_h, start)
    prepared = inputs.prepare("gru", LAYOUT, args, bptt)
    return dispatch.run("gru", BACKENDS, backend, prepared, bptt)
