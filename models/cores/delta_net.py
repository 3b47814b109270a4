"""Delta Net: fast weights that write only what is missing at a key.

W <- W + phi(k) (beta (v - W^T phi(k)))^T, then read at phi(q); beta = beta_range sigma(b), and phi
is what key_norm names.
"""

from torch import Tensor

from ..kernels import delta_rule
from ..kernels.keys import feature_map
from .base import CoreState
from .block import STACK_SIZES, Access, FastNet, stack_of
from .config import CoreConfig
from .spec import CoreSpec
from .write_args import WriteArgs


class DeltaNet(FastNet):
    """State: W [B, H, D, D]. The slow net gives q, k, v, b."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        self.args = WriteArgs(**config.args)  # type: ignore[arg-type]
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
        q, k = feature_map(queries_keys.view(*slow.shape[:-1], 2, D), self.args.key_norm).unbind(-2)
        return q, k, v, self.args.strength(b.squeeze(-1))


CORE = CoreSpec(
    make=stack_of(DeltaNet),
    sizes=STACK_SIZES,
    args=WriteArgs,
    kernel="delta_rule",
    color=("#b86e00", "#e69f00"),
    marker="s",
)
