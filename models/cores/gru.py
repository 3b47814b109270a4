"""Gated recurrent units: what the next state keeps of the last one is gated.

Parameters are those of `torch.nn.GRU` (gate order r, z, n); see `gated.py`.
"""

from torch import Tensor

from ..kernels import gru
from .base import CoreState
from .gated import GatedLayers
from .spec import CoreSpec


class GRU(GatedLayers):
    """State: h [B, N] of every layer in turn, N = hidden_size.

    Source: Cho et al. 2014 (https://arxiv.org/abs/1406.1078), as `torch.nn.GRU` computes it.
    """

    num_gates = 3
    num_states = 1

    def run_layer(
        self, x: Tensor, weights: list[Tensor], state: CoreState, start: Tensor
    ) -> tuple[Tensor, ...]:
        """Runs one layer; see `GatedLayers.run_layer`."""
        w_ih, w_hh, b_ih, b_hh = weights
        gates = self.dense(x.flatten(0, 1), w_ih, b_ih).view(*x.shape[:2], -1)
        (h,) = state
        return gru(gates, w_hh, b_hh, h, start, bptt=self.bptt, backend=self.kernel)


CORE = CoreSpec(
    make=GRU,
    sizes={"hidden_size": 256, "num_layers": 1},
    kernel="gru",
    state_names=("output h",),
    color=("#6b5b00", "#c9b037"),
    marker="*",
)
