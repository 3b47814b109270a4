"""Recurrent Delta Net: its last output, through tanh, enters the next query, key, value and beta.

a = tanh(y_prev); q = norm(q_x + R_q^T a), k = norm(k_x + R_k^T a), v = v_x + R_v^T a,
beta = beta_range sigma(b_x + r_b . a), and norm is what key_norm names; then a delta-rule step. The
recurrence stays within a head.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..kernels import rdn
from ..kernels.keys import KeyNorm
from ..kernels.rdn.reference import program
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec
from .write_args import WriteArgs

Program = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class RDNArgs(WriteArgs):
    """Where a step may write, and how strongly; see `WriteArgs`.

    Args:
        key_norm: of q and k, their recurrent terms included.
        beta_range: the write strength lies between 0 and this.
    """

    key_norm: KeyNorm = "softmax"


class RDN(FastNet):
    """State: W [B, H, D, D] and the raw output y [B, H, D]. The slow net gives q, k, v, b."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.args = RDNArgs(**config.args)  # type: ignore[arg-type]
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
        W, y_before = state
        y, W, y_last = rdn(
            *self._program(slow),
            W,
            y_before,
            start,
            key_norm=self.args.key_norm,
            beta_range=self.args.beta_range,
            bptt=self.bptt,
            backend=self.kernel,
        )
        return y, (W, y_last)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the use of W, recurrent terms included; see `FastNet.accesses`."""
        norm, most = self.args.key_norm, self.args.beta_range
        args = (*self._program(slow), state[-1])
        q, k, _, beta = program(*args, key_norm=norm, beta_range=most)
        return {"W": Access(k, beta, q)}

    def _program(self, slow: Tensor) -> Program:
        """Returns q, k, v, b of slow [..., H, S] and the recurrent weights, as `rdn` takes them."""
        D = self.head_size
        q, k, v, b = slow.split_with_sizes([D, D, D, 1], -1)
        return q, k, v, b.squeeze(-1), self.r_q, self.r_k, self.r_v, self.r_b


CORE = CoreSpec(
    make=stack_of(RDN),
    sizes=STACK_SIZES,
    args=RDNArgs,
    kernel="rdn",
    color=("#d0421b", "#ff8a65"),
    marker="D",
)
