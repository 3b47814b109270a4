"""Delta RNN: a Delta Net plus fast recurrent weights that read the softmax of the last output.

h = delta_net(q, k, v, beta; W) + R^T softmax(h_prev), R itself programmed by the delta rule.
"""

from torch import Tensor

from models.cores.base import CoreState
from models.cores.block import FastNet
from models.cores.config import CoreConfig
from models.kernels.delta_rnn import delta_rnn


class DeltaRNN(FastNet):
    """State: W, R [B, H, D, D] and h [B, H, D]. The slow net gives q, k, rk, v, rv, b, rb."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        H, D = self.num_heads, self.head_size
        self.slow_size = 5 * D + 2
        self.state_shapes = ((H, D, D), (H, D, D), (H, D))

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        D = self.head_size
        W, R, h_before = state
        keys, v, rv, b = slow.split_with_sizes([3 * D, D, D, 2], -1)
        q, k, rk = keys.view(*slow.shape[:3], 3, D).softmax(-1).unbind(-2)
        beta, rbeta = b.sigmoid().unbind(-1)
        h, W, R, h_last = delta_rnn(
            q, k, v, beta, rk, rv, rbeta, W, R, h_before, start, bptt=self.bptt, backend=self.kernel
        )
        return h, (W, R, h_last)
