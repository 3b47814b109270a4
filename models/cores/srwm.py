"""Self-referential weight matrix: it maps its input to its output and to its own change.

y, q, k, b = W^T x with x the softmax of a head's part of the residual stream; then every part of W
is written what it gives at q, at k: W_P <- W_P + k (beta_P (W_P^T q - W_P^T k))^T.

Source: Irie, Schlag, Csordas, Schmidhuber 2022 (https://arxiv.org/abs/2202.05780), whose agents
have neither a slow net nor a LayerNorm before it.
"""

import torch
from torch import Tensor, nn

from ..kernels import srwm
from ..kernels.srwm.reference import NUM_STRENGTHS
from .base import CoreState
from .block import STACK_SIZES, Mixer, stack_of
from .config import CoreConfig
from .spec import CoreSpec


class SRWM(Mixer):
    """State: what the episode added to W, [B, H, D, 3 D + 4]. There is no slow net."""

    slow_size = None

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        H, D = self.num_heads, self.head_size
        shape = (H, D, 3 * D + NUM_STRENGTHS)
        self.state_shapes = (shape,)
        self.w = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.w, std=D**-0.5)

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `Mixer.forward`."""
        (added,) = state
        x = slow.softmax(-1)
        y, added = srwm(x, self.w, added, start, bptt=self.bptt, backend=self.kernel)
        return y, (added,)


CORE = CoreSpec(
    make=stack_of(SRWM),
    sizes=STACK_SIZES,
    kernel="srwm",
    state_names=("change of W",),
    color=("#5e6b73", "#a9b8c2"),
    marker="8",
)
