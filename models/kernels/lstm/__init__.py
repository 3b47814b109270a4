"""An LSTM layer over a time-major sequence with episode resets.

`reference.py` defines the result; the other backends compute the same within the
tolerances of `tests/test_kernels_backends.py`. README.md has the backward pass.
"""

from torch import Tensor

from .. import dispatch, inputs
from . import cpu, gpu, reference

Result = tuple[Tensor, Tensor, Tensor]

LAYOUT: inputs.Layout = {
    "gates": "T B 4N",
    "w_hh": "4N N",
    "state_h": "B N",
    "state_c": "B N",
    "start": "T B",
}

BACKENDS: tuple[dispatch.Backend[Result], ...] = (
    dispatch.Backend("triton", "cuda", gpu.run, gpu.rejects),
    dispatch.Backend("cpu", "cpu", cpu.run, cpu.rejects),
    dispatch.Backend("reference", None, reference.run),
)


def lstm(
    gates: Tensor,
    w_hh: Tensor,
    state_h: Tensor,
    state_c: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Runs the recurrent half of an LSTM layer; the caller has projected the inputs.

    Args:
        gates: [T, B, 4N] W_ih x + b_ih + b_hh in the order i, f, g, o.
        w_hh: [4N, N] `torch.nn.LSTM`'s weight_hh_l0, in the state's dtype.
        state_h: [B, N] hidden vector before step 0; float32 or wider.
        state_c: [B, N] cell vector before step 0.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs h [T, B, N] in the gates' dtype, and after step T - 1: h [B, N] and c [B, N].
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), or
            `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (gates, w_hh, state_h, state_c, start)
    prepared = inputs.prepare("lstm", LAYOUT, args, bptt)
    return dispatch.run("lstm", BACKENDS, backend, prepared, bptt)
