"""The delta rule on a memory that decays: `delta_rule`'s kernel with one more input.

`../delta_rule/README.md` has the equations and the backward pass.
"""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor

from .. import dispatch, inputs
from ..delta_rule import BACKENDS as DELTA_RULE
from ..delta_rule import Result

LAYOUT: inputs.Layout = {
    "q": "T B H K",
    "k": "T B H K",
    "v": "T B H V",
    "beta": "T B H",
    "alpha": "T B H",
    "state": "B H K V",
    "start": "T B",
}


def _with_alpha(run: Callable[..., Result]) -> Callable[..., Result]:
    def gated(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        beta: Tensor,
        alpha: Tensor,
        state: Tensor,
        start: Tensor,
        *,
        bptt: dispatch.Bptt = "full",
    ) -> Result:
        return run(q, k, v, beta, state, start, alpha=alpha, bptt=bptt)

    return gated


BACKENDS = tuple(replace(backend, run=_with_alpha(backend.run)) for backend in DELTA_RULE)


def gated_delta_rule(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    alpha: Tensor,
    state: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Lets the memory decay, writes what is then missing of each value at its key, and reads.

    Args:
        q: [T, B, H, K] queries, normalised by the caller.
        k: [T, B, H, K] keys, normalised by the caller.
        v: [T, B, H, V] values.
        beta: [T, B, H] write strengths, squashed by the caller.
        alpha: [T, B, H] what is left of the memory when step t writes; 1 keeps all of it, and
            gives `delta_rule` (to the bit on a CPU). bfloat16 has nothing between 0.996 and 1.
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
    args = (q, k, v, beta, alpha, state, start)
    prepared = inputs.prepare("gated_delta_rule", LAYOUT, args, bptt)
    return dispatch.run("gated_delta_rule", BACKENDS, backend, prepared, bptt)
