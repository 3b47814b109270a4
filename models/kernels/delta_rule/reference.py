"""The delta rule one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps of M writes each, S = T M, B batch, H heads, K key size, V value size.

    W <- 0                                  where an episode starts
    W <- alpha W                            decay, where there is one
    W <- W + k (beta (v - W^T k))^T         write what is missing at key k, M times
    y  = W^T q                              read

Sources: the delta update rule of Schlag, Irie, Schmidhuber 2021 (https://arxiv.org/abs/2102.11174);
with the decay equation 10 of https://arxiv.org/abs/2412.06464 (Gated DeltaNet); with M writes
https://arxiv.org/abs/2502.10297 (DeltaProduct). The backward pass is derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import delta_write, read, unroll


def run(
    q_TBHK: Tensor,
    k_SBHK: Tensor,
    v_SBHV: Tensor,
    beta_SBH: Tensor,
    state_BHKV: Tensor,
    start_TB: Tensor,
    *,
    alpha: Tensor | None = None,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Returns y [T, B, H, V] and the state after the last step.

    The operators `delta_rule` (M = 1), `gated_delta_rule` (alpha [T, B, H]) and `delta_product`
    describe the arguments. The writes of a step stand one after the other.
    """
    T = len(q_TBHK)
    writes = [x.view(T, len(x) // max(T, 1), *x.shape[1:]) for x in (k_SBHK, v_SBHV, beta_SBH)]
    decay = () if alpha is None else (alpha,)
    inputs = (q_TBHK, *writes, *decay)
    y_TBHV, (state_BHKV,) = unroll(_step, inputs, (state_BHKV,), start_TB, bptt, v_SBHV.shape[1:])
    return y_TBHV, state_BHKV


def _step(
    q_BHK: Tensor, k_MBHK: Tensor, v_MBHV: Tensor, beta_MBH: Tensor, *rest: Tensor
) -> tuple[Tensor, tuple[Tensor]]:
    *alpha_BH, W_BHKV = rest
    for alpha in alpha_BH:
        W_BHKV = alpha[..., None, None] * W_BHKV
    for k_BHK, v_BHV, beta_BH in zip(k_MBHK, v_MBHV, beta_MBH, strict=True):
        W_BHKV = delta_write(W_BHKV, k_BHK, v_BHV, beta_BH)
    return read(W_BHKV, q_BHK), (W_BHKV,)
