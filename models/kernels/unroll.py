"""The loop over time of the references and of stepped cores; reading and writing fast weights.

Shapes: T steps, B batch, H heads, K key size, V value size. Fast weights W are [key, value].
"""

from collections.abc import Callable

import torch
from torch import Tensor

from .dispatch import Bptt

States = tuple[Tensor, ...]


def unroll(
    step: Callable[..., tuple[Tensor, States]],
    inputs: tuple[Tensor, ...],
    states: States,
    start_TB: Tensor,
    bptt: Bptt,
    output_shape: tuple[int, ...],
) -> tuple[Tensor, States]:
    """Applies `step` to every time step, with the states zeroed where an episode starts.

    Steps compute in the states' dtype; outputs are in that of the inputs.

    Args:
        step: (inputs of one step, states) -> (output, new states).
        inputs: each [T, B, ...].
        states: each [B, ...], before step 0; none in a memory without any.
        start_TB: bool.
        bptt: "full", or 1 to cut the gradient that enters a step through its states.
        output_shape: [B, ...] of one step's output, for a call without steps.

    Returns:
        Outputs [T, B, ...] and the states after the last step.
    """
    dtype = states[0].dtype if states else inputs[0].dtype
    wide = [x.to(dtype) for x in inputs]
    outputs = []
    for t, start_B in enumerate(start_TB):
        if bptt == 1:
            states = tuple(state.detach() for state in states)
        states = tuple(_reset(state, start_B) for state in states)
        output, states = step(*(x[t] for x in wide), *states)
        outputs.append(output)
    stacked = torch.stack(outputs) if outputs else wide[0].new_empty((0, *output_shape))
    return stacked.to(inputs[0].dtype), states


def _reset(state: Tensor, start_B: Tensor) -> Tensor:
    """Selects and does not multiply, so that a NaN in a state that is reset disappears."""
    return state.masked_fill(start_B.view(-1, *[1] * (state.ndim - 1)), 0.0)


def read(W_BHKV: Tensor, q_BHK: Tensor) -> Tensor:
    """Returns W^T q [B, H, V]."""
    return torch.einsum("bhkv,bhk->bhv", W_BHKV, q_BHK)


def delta_write(W_BHKV: Tensor, k_BHK: Tensor, v_BHV: Tensor, beta_BH: Tensor) -> Tensor:
    """Returns W + k (beta (v - W^T k))^T: what is missing at key k, written there."""
    written_BHV = beta_BH[..., None] * (v_BHV - read(W_BHKV, k_BHK))
    return W_BHKV + k_BHK[..., :, None] * written_BHV[..., None, :]
