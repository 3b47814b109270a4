"""Linear attention one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, H heads, K key size, V value size.

    W <- 0                 where an episode starts
    W <- W + k v^T         write
    y  = W^T q             read, after the write

Source: Katharopoulos et al. 2020 (https://arxiv.org/abs/2006.16236), without the
denominator, as in Irie et al. 2021 (https://arxiv.org/abs/2106.06295). The backward
pass is derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import read, unroll


def run(
    q_TBHK: Tensor,
    k_TBHK: Tensor,
    v_TBHV: Tensor,
    state_BHKV: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Returns y [T, B, H, V] and the state after the last step; see `linear_attention`."""
    inputs = (q_TBHK, k_TBHK, v_TBHV)
    y_TBHV, (state_BHKV,) = unroll(_step, inputs, (state_BHKV,), start_TB, bptt, v_TBHV.shape[1:])
    return y_TBHV, state_BHKV


def _step(
    q_BHK: Tensor, k_BHK: Tensor, v_BHV: Tensor, W_BHKV: Tensor
) -> tuple[Tensor, tuple[Tensor]]:
    W_BHKV = W_BHKV + k_BHK[..., :, None] * v_BHV[..., None, :]
    return read(W_BHKV, q_BHK), (W_BHKV,)
