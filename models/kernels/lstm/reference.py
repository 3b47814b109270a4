"""The LSTM one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, N hidden size. Gates lie in the order i, f, g, o.

    h, c <- 0                                      where an episode starts
    i, f, g, o = gates + W_hh h                    through sigmoid, and tanh for g
    c <- f c + i g
    h <- o tanh(c)                                 also the output

Source: torch.nn.LSTM's documentation
(https://docs.pytorch.org/docs/stable/generated/torch.nn.LSTM.html). The backward pass is
derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import unroll


def run(
    gates_TB4N: Tensor,
    w_hh_4NN: Tensor,
    state_h_BN: Tensor,
    state_c_BN: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor, Tensor]:
    """Returns h [T, B, N] and the two states after the last step; see `lstm`."""

    def step(gates_B4N: Tensor, h_BN: Tensor, c_BN: Tensor) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        i_BN, f_BN, g_BN, o_BN = (gates_B4N + h_BN @ w_hh_4NN.T).chunk(4, dim=-1)
        c_BN = f_BN.sigmoid() * c_BN + i_BN.sigmoid() * g_BN.tanh()
        h_BN = o_BN.sigmoid() * c_BN.tanh()
        return h_BN, (h_BN, c_BN)

    h_TBN, (state_h_BN, state_c_BN) = unroll(
        step, (gates_TB4N,), (state_h_BN, state_c_BN), start_TB, bptt, state_h_BN.shape
    )
    return h_TBN, state_h_BN, state_c_BN
