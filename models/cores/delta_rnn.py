"""Delta RNN: a Delta Net plus fast recurrent weights that read the softmax of the last output.

h = delta_net(q, k, v, beta; W) + R^T softmax(h_prev), R itself programmed by the delta rule.
"""

from dataclasses import dataclass

from torch import Tensor

from ..kernels import delta_rnn
from ..kernels.keys import KeyNorm, feature_map
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec
from .write_args import WriteArgs

Program = tuple[Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor]


@dataclass(frozen=True, kw_only=True)
class DeltaRNNArgs(WriteArgs):
    """Where a step may write to W and R, and how strongly; see `WriteArgs`.

    Args:
        key_norm: of q, k and rk; R is read at the softmax of the last output always.
        beta_range: the write strengths lie between 0 and this.
    """

    key_norm: KeyNorm = "softmax"


class DeltaRNN(FastNet):
    """State: W, R [B, H, D, D] and h [B, H, D]. The slow net gives q, k, rk, v, rv, b, rb."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.args = DeltaRNNArgs(**config.args)  # type: ignore[arg-type]
        H, D = self.num_heads, self.head_size
        self.slow_size = 5 * D + 2
        self.state_shapes = ((H, D, D), (H, D, D), (H, D))

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        args = self._program(slow)
        W, R, h = state
        y, W, R, h = delta_rnn(*args, W, R, h, start, bptt=self.bptt, backend=self.kernel)
        return y, (W, R, h)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the use of W and R, the latter read at softmax(h); see `FastNet.accesses`."""
        q, k, _, beta, rk, _, rbeta = self._program(slow)
        return {"W": Access(k, beta, q), "R": Access(rk, rbeta, state[-1].softmax(-1))}

    def _program(self, slow: Tensor) -> Program:
        """Returns q, k, v, beta, rk, rv, rbeta of slow [..., H, S]: [..., H, D], beta [..., H]."""
        D = self.head_size
        keys, v, rv, b = slow.split_with_sizes([3 * D, D, D, 2], -1)
        keys = keys.view(*slow.shape[:-1], 3, D)
        q, k, rk = feature_map(keys, self.args.key_norm).unbind(-2)
        beta, rbeta = self.args.strength(b).unbind(-1)
        return q, k, v, beta, rk, rv, rbeta


CORE = CoreSpec(
    make=stack_of(DeltaRNN),
    sizes=STACK_SIZES,
    args=DeltaRNNArgs,
    kernel="delta_rnn",
    color=("#00795a", "#2fc99b"),
    marker="^",
)
