"""Delta Net: fast weights that write only what is missing at a key.

W <- W + phi(k) (sigma(b) (v - W^T phi(k)))^T, then read at phi(q).
"""

from torch import Tensor

from ..kernels import delta_rule
from .base import CoreState
from .block import Access, FastNet, fast_weight_core
from .config import CoreConfig
from .feature_map import elu_feature_map


class DeltaNet(FastNet):
    """State: W [B, H, D, D]. The slow net gives q, k, v, b."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.slow_size = 3 * self.head_size + 1
        self.state_shapes = ((self.num_heads, self.head_size, self.head_size),)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `FastNet.forward`."""
        (W,) = state
        args = self._program(slow)
        y, W = delta_rule(*args, W, start, bptt=self.bptt, backend=self.kernel)
        return y, (W,)

    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns the use of W; see `FastNet.accesses`."""
        q, k, _, beta = self._program(slow)
        return {"W": Access(k, beta, q)}

    def _program(self, slow: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Returns q, k, v [..., H, D] and beta [..., H] of slow [..., H, S]."""
        D = self.head_size
        queries_keys, v, b = slow.split_with_sizes([2 * D, D, 1], -1)
        q, k = elu_feature_map(queries_keys.view(*slow.shape[:-1], 2, D)).unbind(-2)
        return q, k, v, b.squeeze(-1).sigmoid()


CORE = fast_weight_core(DeltaNet, "delta_rule", color=("#b86e00", "#e69f00"), marker="s")
