"""The GRU one step at a time: the meaning of the kernel, in any float dtype.

Shapes: T steps, B batch, N hidden size. Gates lie in the order r, z, n.

    h <- 0                                         where an episode starts
    s_r, s_z, s_n = W_hh h + b_hh
    r, z = sigmoid(gates_r + s_r), sigmoid(gates_z + s_z)
    n = tanh(gates_n + r s_n)
    h <- (1 - z) n + z h                           also the output

Source: torch.nn.GRU's documentation
(https://docs.pytorch.org/docs/stable/generated/torch.nn.GRU.html). The backward pass is
derived in README.md.
"""

from torch import Tensor

from ..dispatch import Bptt
from ..unroll import unroll


def run(
    gates_TB3N: Tensor,
    w_hh_3NN: Tensor,
    b_hh_3N: Tensor,
    state_h_BN: Tensor,
    start_TB: Tensor,
    *,
    bptt: Bptt = "full",
) -> tuple[Tensor, Tensor]:
    """Returns h [T, B, N] and the state after the last step; see `gru`."""

    def step(gates_B3N: Tensor, h_BN: Tensor) -> tuple[Tensor, tuple[Tensor]]:
        r_BN, z_BN, n_BN = gates_B3N.chunk(3, dim=-1)
        s_r_BN, s_z_BN, s_n_BN = (h_BN @ w_hh_3NN.T + b_hh_3N).chunk(3, dim=-1)
        r_BN, z_BN = (r_BN + s_r_BN).sigmoid(), (z_BN + s_z_BN).sigmoid()
        n_BN = (n_BN + r_BN * s_n_BN).tanh()
        h_BN = (1 - z_BN) * n_BN + z_BN * h_BN
        return h_BN, (h_BN,)

    h_TBN, (state_h_BN,) = unroll(
        step, (gates_TB3N,), (state_h_BN,), start_TB, bptt, state_h_BN.shape
    )
    return h_TBN, state_h_BN
