"""LSTM layers, the gated memory that fast weight programmers are compared with.

Parameters are those of `torch.nn.LSTM` (gate order i, f, g, o); see `gated.py`.
"""

from torch import Tensor

from ..kernels import lstm
from .base import CoreState
from .gated import GatedLayers
from .spec import CoreSpec


class LSTM(GatedLayers):
    """State: h [B, N] and c [B, N] of every layer in turn, N = hidden_size."""

    num_gates = 4
    num_states = 2

    def run_layer(
        self, x: Tensor, weights: list[Tensor], state: CoreState, start: Tensor
    ) -> tuple[Tensor, ...]:
        """Runs one layer; see `GatedLayers.run_layer`."""
        w_ih, w_hh, b_ih, b_hh = weights
        gates = self.dense(x.flatten(0, 1), w_ih, b_ih + b_hh).view(*x.shape[:2], -1)
        h, c = state
        return lstm(gates, w_hh, h, c, start, bptt=self.bptt, backend=self.kernel)


CORE = CoreSpec(
    make=LSTM,
    sizes={"hidden_size": 256, "num_layers": 1},
    kernel="lstm",
    state_names=("output h", "cell state c"),
    color=("#0072b2", "#56b4e9"),
    marker="o",
)
