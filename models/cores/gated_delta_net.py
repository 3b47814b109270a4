"""Gated Delta Net: a Delta Net whose memory decays, by as much as each step says.

W <- alpha W, then the delta rule on it, so that the prediction is of the decayed memory; read at
q / sqrt(D). What is read is scaled to unit size, and gated. Keys and queries have length 1.

Source: Yang et al. 2024 (https://arxiv.org/abs/2412.06464), with the decay alpha of Mamba2
(https://arxiv.org/abs/2405.21060), as https://github.com/fla-org/flash-linear-attention builds it.
Left out: the convolution over the last four steps before q, k and v, values twice the size of keys,
and the gated feed-forward net; the stack is that of the other cores.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels import gated_delta_rule
from ..kernels.keys import KeyNorm, feature_map
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec
from .write_args import WriteArgs

MOST_DECAY = 16.0
LEAST_TIME, MOST_TIME = 0.001, 0.1
"""Decay rates and time steps before training are drawn from these: fla, gated_deltanet.py."""
NORM_EPSILON = 1e-5


@dataclass(frozen=True, kw_only=True)
class GatedDeltaNetArgs(WriteArgs):
    """Where a step may write, and how strongly; see `WriteArgs`.

    Args:
        key_norm: of q and k, after SiLU.
        beta_range: the write strength lies between 0 and this.
    """

    key_norm: KeyNorm = "l2"


class GatedDeltaNet(FastNet):
    """State: W [B, H, D, D]. The slow net gives q, k, v, the output's gate, b and a."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.args = GatedDeltaNetArgs(**config.args)  # type: ignore[arg-type]
        H, D = self.num_heads, self.head_size
        self.slow_size = 4 * D + 2
        self.state_shapes = ((H, D, D),)
        rate = torch.empty(H).uniform_(0, MOST_DECAY)
        time = torch.empty(H).uniform_(math.log(LEAST_TIME), math.log(MOST_TIME)).exp()
        self.log_rate = nn.Parameter(rate.log())
        self.time_bias = nn.Parameter(time + (-(-time).expm1()).log())  # softplus of it is time
        self.norm = nn.RMSNorm(D, eps=NORM_EPSILON)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        (W,) = state
        q, k, v, beta, alpha, gate = self._program(slow)
        args = (q, k, v, beta, alpha, W, start)
        y, W = gated_delta_rule(*args, bptt=self.bptt, backend=self.kernel)
        return self.norm(y) * functional.silu(gate), (W,)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the use of W; see `FastNet.accesses`."""
        q, k, _, beta, _, _ = self._program(slow)
        return {"W": Access(k, beta, q)}

    def _program(self, slow: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Returns q, k, v, beta, alpha and the gate of slow [..., H, S].

        beta and alpha are [..., H], the others [..., H, D].
        """
        D = self.head_size
        qkv, gate, b, a = slow.split_with_sizes([3 * D, D, 1, 1], -1)
        queries_keys, v = functional.silu(qkv).split_with_sizes([2 * D, D], -1)
        q, k = feature_map(queries_keys.view(*slow.shape[:-1], 2, D), self.args.key_norm).unbind(-2)
        time = functional.softplus(a.squeeze(-1) + self.time_bias)
        alpha = (-self.log_rate.exp() * time).exp()
        return q * D**-0.5, k, v, self.args.strength(b.squeeze(-1)), alpha, gate


CORE = CoreSpec(
    make=stack_of(GatedDeltaNet),
    sizes=STACK_SIZES,
    args=GatedDeltaNetArgs,
    kernel="gated_delta_rule",
    color=("#8a5a00", "#d9b36c"),
    marker="p",
)
