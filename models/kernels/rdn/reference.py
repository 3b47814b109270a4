"""The recurrent Delta Net one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, H heads, D head size.

    W, y <- 0                                  where an episode starts
    a  = tanh(y)                               the output of the step before
    q~ = norm(q + R_q^T a)                     likewise k~
    v~ = v + R_v^T a
    beta = beta_range sigmoid(b + r_b . a)
    W <- W + k~ (beta (v~ - W^T k~))^T
    y <- W^T q~                                also the output

Source: Irie et al. 2021 (https://arxiv.org/abs/2106.06295), section 3.2, where norm is softmax and
beta_range 1. The backward pass is derived in README.md.
"""

import torch
from torch import Tensor

from ..dispatch import Bptt
from ..keys import KeyNorm, feature_map
from ..unroll import delta_write, read, unroll


def run(
    q_TBHD: Tensor,
    k_TBHD: Tensor,
    v_TBHD: Tensor,
    b_TBH: Tensor,
    r_q_HDD: Tensor,
    r_k_HDD: Tensor,
    r_v_HDD: Tensor,
    r_b_HD: Tensor,
    state_w_BHDD: Tensor,
    state_y_BHD: Tensor,
    start_TB: Tensor,
    *,
    key_norm: KeyNorm = "softmax",
    beta_range: int = 1,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns y [T, B, H, D] and the two states after the last step; see `rdn`."""

    def step(
        q_BHD: Tensor, k_BHD: Tensor, v_BHD: Tensor, b_BH: Tensor, W_BHDD: Tensor, y_BHD: Tensor
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        weights = (r_q_HDD, r_k_HDD, r_v_HDD, r_b_HD)
        q_BHD, k_BHD, v_BHD, beta_BH = program(
            q_BHD, k_BHD, v_BHD, b_BH, *weights, y_BHD, key_norm=key_norm, beta_range=beta_range
        )
        W_BHDD = delta_write(W_BHDD, k_BHD, v_BHD, beta_BH)
        y_BHD = read(W_BHDD, q_BHD)
        return y_BHD, (W_BHDD, y_BHD)

    inputs = (q_TBHD, k_TBHD, v_TBHD, b_TBH)
    states = (state_w_BHDD, state_y_BHD)
    y_TBHD, (state_w_BHDD, state_y_BHD) = unroll(
        step, inputs, states, start_TB, bptt, v_TBHD.shape[1:]
    )
    return y_TBHD, state_w_BHDD, state_y_BHD


def program(
    q_BHD: Tensor,
    k_BHD: Tensor,
    v_BHD: Tensor,
    b_BH: Tensor,
    r_q_HDD: Tensor,
    r_k_HDD: Tensor,
    r_v_HDD: Tensor,
    r_b_HD: Tensor,
    y_BHD: Tensor,
    *,
    key_norm: KeyNorm,
    beta_range: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns q~, k~, v~ [B, H, D] and beta [B, H] of a step whose output before was y."""
    a_BHD = y_BHD.tanh()
    q_BHD = feature_map(q_BHD + torch.einsum("hij,bhi->bhj", r_q_HDD, a_BHD), key_norm)
    k_BHD = feature_map(k_BHD + torch.einsum("hij,bhi->bhj", r_k_HDD, a_BHD), key_norm)
    v_BHD = v_BHD + torch.einsum("hij,bhi->bhj", r_v_HDD, a_BHD)
    beta_BH = beta_range * (b_BH + (r_b_HD * a_BHD).sum(-1)).sigmoid()
    return q_BHD, k_BHD, v_BHD, beta_BH
