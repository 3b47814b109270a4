"""Linear Transformer: purely additive fast weights, W <- W + phi(k) v^T, read at phi(q)."""

import torch
from torch import Tensor

from ..kernels import linear_attention
from ..kernels.keys import elu_feature_map
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec


class LinearTransformer(FastNet):
    """State: W [B, H, D, D]. The slow net gives q, k, v. No attention denominator."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.slow_size = 3 * self.head_size
        self.state_shapes = ((self.num_heads, self.head_size, self.head_size),)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        (W,) = state
        args = self._program(slow)
        y, W = linear_attention(*args, W, start, bptt=self.bptt, backend=self.kernel)
        return y, (W,)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the use of W, which is always written in full; see `FastNet.accesses`."""
        q, k, _ = self._program(slow)
        return {"W": Access(k, torch.ones_like(k[..., 0]), q)}

    def _program(self, slow: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Returns q, k, v [..., H, D] of slow [..., H, S]."""
        D = self.head_size
        queries_keys, v = slow.split_with_sizes([2 * D, D], -1)
        q, k = elu_feature_map(queries_keys.view(*slow.shape[:-1], 2, D)).unbind(-2)
        return q, k, v


CORE = CoreSpec(
    make=stack_of(LinearTransformer),
    sizes=STACK_SIZES,
    kernel="linear_attention",
    color=("#a0508a", "#e39bc6"),
    marker="v",
)
