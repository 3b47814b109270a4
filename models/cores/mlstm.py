"""mLSTM: a matrix memory behind exponential gates, read through a normaliser. No fused kernel.

C <- f C + i v k^T, n <- f n + i k, y = o * C q / max(|n . q|, 1), with k scaled by 1/sqrt(D),
i = exp(i~), f = sigma(f~), o = sigma(o~). What is stored is C, n over exp(m), where m is the
largest exponent so far, so that nothing overflows.

Source: Beck et al. 2024 (https://arxiv.org/abs/2405.04517), equations 19 to 27 and 15 to 17. Left
out: the block around it (up-projection, convolution, a norm per head); the stack is that of the
other cores. The gates' weights begin as the slow net's, where https://github.com/NX-AI/xlstm has 0.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.unroll import unroll
from .base import CoreState
from .block import STACK_SIZES, Mixer, stack_of
from .config import CoreConfig
from .spec import CoreSpec

LEAST_FORGET_BIAS, MOST_FORGET_BIAS = 3.0, 6.0
"""Forget gates before training, spread over the heads: https://github.com/NX-AI/xlstm."""
MOST_EXPONENT = 80.0
"""Of what a float32 can hold; where it is more, the output is 0 all the same."""


class MLSTM(Mixer):
    """State: C [B, H, D, D] as [key, value], n [B, H, D] and m [B, H].

    The slow net gives q, k, v, o~, i~ and f~.
    """

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        H, D = self.num_heads, self.head_size
        self.slow_size = 4 * D + 2
        self.state_shapes = ((H, D, D), (H, D), (H,))
        self.output_bias = nn.Parameter(torch.zeros(H, D))
        self.input_bias = nn.Parameter(torch.zeros(H))
        self.forget_bias = nn.Parameter(torch.linspace(LEAST_FORGET_BIAS, MOST_FORGET_BIAS, H))

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `Mixer.forward`."""
        D = self.head_size
        q, k, v, o, i, f = slow.split_with_sizes([D, D, D, D, 1, 1], -1)
        i = i.squeeze(-1) + self.input_bias
        f = functional.logsigmoid(f.squeeze(-1) + self.forget_bias)
        inputs = (q, k * D**-0.5, v, i, f)
        y, state = unroll(step, inputs, state, start, self.bptt, v.shape[1:])
        return y * (o + self.output_bias).sigmoid(), state


def step(
    q: Tensor, k: Tensor, v: Tensor, log_i: Tensor, log_f: Tensor, C: Tensor, n: Tensor, m: Tensor
) -> tuple[Tensor, CoreState]:
    """Returns C q / max(|n . q|, 1) [B, H, D] of a row, and the state after it.

    q, k (scaled) and v are [B, H, D], the logarithms of the gates [B, H].
    """
    m_new = torch.maximum(log_f + m, log_i)
    keep, write = (log_f + m - m_new).exp(), (log_i - m_new).exp()
    k = write[..., None] * k
    C = keep[..., None, None] * C + k[..., :, None] * v[..., None, :]
    n = keep[..., None] * n + k
    size = torch.maximum((n * q).sum(-1).abs(), (-m_new).clamp(max=MOST_EXPONENT).exp())
    return torch.einsum("bhkv,bhk->bhv", C, q) / size[..., None], (C, n, m_new)


CORE = CoreSpec(
    make=stack_of(MLSTM),
    sizes=STACK_SIZES,
    state_names=("memory C", "normaliser n", "largest exponent m"),
    color=("#1b7f8c", "#66c5d3"),
    marker="<",
)
