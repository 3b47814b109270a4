"""The Delta RNN one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, H heads, D head size.

    W, R, h <- 0                                where an episode starts
    W <- W + k (beta (v - W^T k))^T             the fast net, a Delta Net
    R <- R + rk (rbeta (rv - R^T rk))^T         its recurrent weights, fast as well
    h <- W^T q + R^T softmax(h)                 also the output

Source: Irie et al. 2021 (https://arxiv.org/abs/2106.06295), section 3.1. The backward
pass is derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import delta_write, read, unroll


def run(
    q_TBHD: Tensor,
    k_TBHD: Tensor,
    v_TBHD: Tensor,
    beta_TBH: Tensor,
    rk_TBHD: Tensor,
    rv_TBHD: Tensor,
    rbeta_TBH: Tensor,
    state_w_BHDD: Tensor,
    state_r_BHDD: Tensor,
    state_h_BHD: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Returns h [T, B, H, D] and the three states after the last step; see `delta_rnn`."""
    inputs = (q_TBHD, k_TBHD, v_TBHD, beta_TBH, rk_TBHD, rv_TBHD, rbeta_TBH)
    states = (state_w_BHDD, state_r_BHDD, state_h_BHD)
    h_TBHD, (state_w_BHDD, state_r_BHDD, state_h_BHD) = unroll(
        _step, inputs, states, start_TB, bptt, v_TBHD.shape[1:]
    )
    return h_TBHD, state_w_BHDD, state_r_BHDD, state_h_BHD


def _step(
    q_BHD: Tensor,
    k_BHD: Tensor,
    v_BHD: Tensor,
    beta_BH: Tensor,
    rk_BHD: Tensor,
    rv_BHD: Tensor,
    rbeta_BH: Tensor,
    W_BHDD: Tensor,
    R_BHDD: Tensor,
    h_BHD: Tensor,
) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
    W_BHDD = delta_write(W_BHDD, k_BHD, v_BHD, beta_BH)
    R_BHDD = delta_write(R_BHDD, rk_BHD, rv_BHD, rbeta_BH)
    h_BHD = read(W_BHDD, q_BHD) + read(R_BHDD, h_BHD.softmax(-1))
    return h_BHD, (W_BHDD, R_BHDD, h_BHD)
