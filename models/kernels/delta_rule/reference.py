"""The delta rule one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, H heads, K key size, V value size.

    W <- 0                                  where an episode starts
    W <- W + k (beta (v - W^T k))^T         write what is missing at key k
    y  = W^T q                              read

Source: the delta update rule of Schlag, Irie, Schmidhuber 2021
(https://arxiv.org/abs/2102.11174). The backward pass is derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import delta_write, read, unroll


def run(
    q_TBHK: Tensor,
    k_TBHK: Tensor,
    v_TBHV: Tensor,
    beta_TBH: Tensor,
    state_BHKV: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Returns y [T, B, H, V] and the state after the last step; see `delta_rule`."""
    inputs = (q_TBHK, k_TBHK, v_TBHV, beta_TBH)
    y_TBHV, (state_BHKV,) = unroll(_step, inputs, (state_BHKV,), start_TB, bptt, v_TBHV.shape[1:])
    return y_TBHV, state_BHKV


def _step(
    q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, beta_BH: Tensor, W_BHKV: Tensor
) -> tuple[Tensor, tuple[Tensor]]:
    W_BHKV = delta_write(W_BHKV, k_BHK, v_BHV, beta_BH)
    return read(W_BHKV, q_BHK), (W_BHKV,)
