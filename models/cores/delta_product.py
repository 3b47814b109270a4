"""DeltaProduct: several delta-rule writes a step, one after the other, then one read.

A step's transition is a product of as many generalised reflections, which can permute what is
stored: tracking a state that every step changes needs that.

Source: Siems et al. 2025 (https://arxiv.org/abs/2502.10297). Left out: its decay, the convolution
over the last steps before q, k and v, and the norm and gate behind the read.
"""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from ..kernels import delta_product
from ..kernels.keys import KeyNorm, feature_map
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec
from .write_args import WriteArgs


@dataclass(frozen=True, kw_only=True)
class DeltaProductArgs(WriteArgs):
    """How often a step writes, where, and how strongly; see `WriteArgs`.

    Args:
        num_writes: M, writes a step, >= 1.
        key_norm: of keys and the query.
        beta_range: the write strengths lie between 0 and this.
    """

    num_writes: int = 2
    key_norm: KeyNorm = "l2"
    beta_range: Literal[1, 2] = 2

    def __post_init__(self) -> None:
        if self.num_writes < 1:
            raise ValueError(f"core.args.num_writes must be >= 1, got {self.num_writes}")


class DeltaProduct(FastNet):
    """State: W [B, H, D, D]. The slow net gives q, and M times k, v and b."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.args = DeltaProductArgs(**config.args)  # type: ignore[arg-type]
        H, D, M = self.num_heads, self.head_size, self.args.num_writes
        self.slow_size = D + M * (2 * D + 1)
        self.state_shapes = ((H, D, D),)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        (W,) = state
        q, *writes = self._program(slow)
        k, v, beta = (x.movedim(3, 1) for x in writes)  # M behind T
        y, W = delta_product(q, k, v, beta, W, start, bptt=self.bptt, backend=self.kernel)
        return y, (W,)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the last use of W, of M; see `FastNet.accesses`."""
        q, k, _, beta = self._program(slow)
        return {"W": Access(k[..., -1, :], beta[..., -1], q)}

    def _program(self, slow: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns q [..., H, D], k and v [..., H, M, D], beta [..., H, M] of slow [..., H, S]."""
        D, M = self.head_size, self.args.num_writes
        queries_keys, v, b = slow.split_with_sizes([D + M * D, M * D, M], -1)
        qk = feature_map(queries_keys.view(*slow.shape[:-1], 1 + M, D), self.args.key_norm)
        v = v.view(*slow.shape[:-1], M, D)
        return qk[..., 0, :], qk[..., 1:, :], v, self.args.strength(b)


CORE = CoreSpec(
    make=stack_of(DeltaProduct),
    sizes=STACK_SIZES,
    args=DeltaProductArgs,
    kernel="delta_product",
    color=("#c2185b", "#f48fb1"),
    marker="H",
)
