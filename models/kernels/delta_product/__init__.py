"""Several delta-rule writes a step, then one read: `delta_rule`'s kernel on as many more steps.

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
    "k": "T M B H K",
    "v": "T M B H V",
    "beta": "T M B H",
    "state": "B H K V",
    "start": "T B",
}


def _one_after_the_other(run: Callable[..., Result]) -> Callable[..., Result]:
    def product(
        q: Tensor,
        k: Tensor,
        v: Tensor,
        beta: Tensor,
        state: Tensor,
        start: Tensor,
        *,
        bptt: dispatch.Bptt = "full",
    ) -> Result:
        k, v, beta = (x.flatten(0, 1) for x in (k, v, beta))
        return run(q, k, v, beta, state, start, bptt=bptt)

    return product


BACKENDS = tuple(replace(backend, run=_one_after_the_other(backend.run)) for backend in DELTA_RULE)


def delta_product(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    beta: Tensor,
    state: Tensor,
    start: Tensor,
    *,
    bptt: dispatch.Bptt = "full",
    backend: str = "auto",
) -> Result:
    """Writes what is missing of M values at their keys, one after the other, then reads once.

    A step's M writes are one transition: the state is reset, and with `bptt=1` detached, before
    the first of them only.

    Args:
        q: [T, B, H, K] queries, normalised by the caller.
        k: [T, M, B, H, K] keys, normalised by the caller. Contiguous ones save a copy.
        v: [T, M, B, H, V] values; likewise.
        beta: [T, M, B, H] write strengths, squashed by the caller.
        state: [B, H, K, V] fast weights before step 0; float32 or wider.
        start: [T, B] bool, true where step t begins an episode (the state is zeroed first).
        bptt: "full" sends gradient through the state across the unroll and stops it at
            starts; 1 detaches the state that enters each step.
        backend: "auto", or the name of one of BACKENDS.

    Returns:
        Outputs [T, B, H, V] in v's dtype and the state [B, H, K, V] after step T - 1.
        Once differentiable in every argument but `start`; no argument is changed.

    Raises:
        ValueError: an argument does not fit LAYOUT (`inputs.prepare` has the rules), there are
            no writes (M = 0), or `backend` cannot run this call.
        NotImplementedError: a second or forward-mode derivative, which only the reference has.
    """
    args = (q, k, v, beta, state, start)
    prepared = inputs.prepare("delta_product", LAYOUT, args, bptt)
    if k.shape[1] == 0:
        raise ValueError("delta_product: a step must make at least one write, got M = 0")
    return dispatch.run("delta_product", BACKENDS, backend, prepared, bptt)
