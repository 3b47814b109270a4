"""Recurrent Delta Net: its last output, through tanh, enters the next query, key, value and beta.

a = tanh(y_prev); q = softmax(q_x + R_q^T a), k = softmax(k_x + R_k^T a), v = v_x + R_v^T a,
beta = sigma(b_x + r_b . a); then a delta-rule step. The recurrence stays within a head.
"""

import torch
from torch import Tensor, nn

from models.cores.base import CoreState
from models.cores.block import FastNet
from models.cores.config import CoreConfig
from models.kernels.rdn import rdn


class RDN(FastNet):
    """State: W [B, H, D, D] and the raw output y [B, H, D]. The slow net gives q, k, v, b."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        H, D = self.num_heads, self.head_size
        self.slow_size = 3 * D + 1
        self.state_shapes = ((H, D, D), (H, D))
        self.r_q = nn.Parameter(torch.empty(H, D, D))
        self.r_k = nn.Parameter(torch.empty(H, D, D))
        self.r_v = nn.Parameter(torch.empty(H, D, D))
        self.r_b = nn.Parameter(torch.empty(H, D))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=D**-0.5)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        D = self.head_size
        W, y_before = state
        q, k, v, b = slow.split_with_sizes([D, D, D, 1], -1)
        recurrent = (self.r_q, self.r_k, self.r_v, self.r_b)
        y, W, y_last = rdn(
            q,
            k,
            v,
            b.squeeze(-1),
            *recurrent,
            W,
            y_before,
            start,
            bptt=self.bptt,
            backend=self.kernel,
        )
        return y, (W, y_last)
