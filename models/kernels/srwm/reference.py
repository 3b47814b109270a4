"""The self-referential weight matrix one step at a time: the meaning of the kernel.

Shapes: T steps, B batch, H heads, D head size, E = 3 D + 4. A row of W holds four parts side by
side, W = [W_y | W_q | W_k | W_b], of D, D, D and 4 columns.

    S <- 0                                      where an episode starts
    W = w + S                                   w is learned, S what this episode changed
    y, q, k, b = W^T x                          y is the output
    q, k, beta = softmax(q), softmax(k), sigmoid(b)
    S_P <- S_P + k (beta_P (W_P^T q - W_P^T k))^T       for each of the four parts P

Source: Irie, Schlag, Csordas, Schmidhuber 2022 (https://arxiv.org/abs/2202.05780), section 3. The
backward pass is derived in README.md.
"""

import torch
from torch import Tensor

from ..dispatch import Bptt
from ..unroll import read, unroll

NUM_STRENGTHS = 4


def run(
    x_TBHD: Tensor,
    w_HDE: Tensor,
    state_BHDE: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Returns y [T, B, H, D] and the state after the last step; see `srwm`."""
    D = x_TBHD.shape[-1]
    sizes = [D, D, D, NUM_STRENGTHS]

    def step(x_BHD: Tensor, S_BHDE: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        W_BHDE = w_HDE + S_BHDE
        y_BHD, q_BHD, k_BHD, b_BH4 = read(W_BHDE, x_BHD).split_with_sizes(sizes, -1)
        q_BHD, k_BHD, beta_BH4 = q_BHD.softmax(-1), k_BHD.softmax(-1), b_BH4.sigmoid()
        missing_BHE = read(W_BHDE, q_BHD) - read(W_BHDE, k_BHD)
        written_BHE = torch.cat(
            [
                beta_BH4[..., part, None] * missing_P
                for part, missing_P in enumerate(missing_BHE.split_with_sizes(sizes, -1))
            ],
            dim=-1,
        )
        return y_BHD, (S_BHDE + k_BHD[..., :, None] * written_BHE[..., None, :],)

    y_TBHD, (state_BHDE,) = unroll(step, (x_TBHD,), (state_BHDE,), start_TB, bptt, x_TBHD.shape[1:])
    return y_TBHD, state_BHDE
