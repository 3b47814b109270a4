"""LRU: a linear recurrence of complex numbers, each with a decay and a turn of its own.

x <- lambda x + gamma B u, y = Re(C x), with |lambda| < 1 and gamma = sqrt(1 - |lambda|^2). B is the
slow net and C the output's matrix of the residual stack; no input passes by the memory but on the
residual stream. The unroll is a scan of log2(T) steps.

Source: Orvieto et al. 2023 (https://arxiv.org/abs/2303.06349), section 3. There gamma is a
parameter that begins at this value, here it follows lambda; B and C begin as the dense layers of
the stack.

Shapes: T steps, B batch, N complex numbers, as many as hidden_size.
"""

import math

import torch
from torch import Tensor, nn

from .base import CoreState
from .block import STACK_SIZES, Mixer, stack_of
from .config import CoreConfig
from .spec import CoreSpec

LEAST_SIZE, MOST_SIZE = 0.9, 0.999
"""|lambda| before training: uniform on the ring between; the paper's for long sequences."""


class LRU(Mixer):
    """State: real and imaginary part of x, [B, N] each. The slow net gives those of B u."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__(config)
        N = self.head_size
        self.slow_size = self.read_size = 2 * N
        self.state_shapes = ((N,), (N,))
        squared = torch.empty(N).uniform_(LEAST_SIZE**2, MOST_SIZE**2)
        self.log_decay = nn.Parameter((-0.5 * squared.log()).log())
        self.log_turn = nn.Parameter(torch.empty(N).uniform_(0, 2 * math.pi).log())

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `Mixer.forward`."""
        log_lambda = torch.complex(-self.log_decay.exp(), self.log_turn.exp())
        gamma = (-(2 * log_lambda.real).expm1()).sqrt()
        u = gamma * torch.complex(*slow.squeeze(2).chunk(2, -1))
        before = torch.complex(*state).masked_fill(start[0, :, None], 0)  # select, never multiply
        if self.bptt == "full":
            x = scan(log_lambda, u, before, start)
        else:
            with torch.no_grad():
                x = scan(log_lambda, u, before, start)
            entering = torch.cat([before[None].detach(), x[:-1]])
            x = u + torch.where(start[..., None], 0, log_lambda.exp() * entering)
        return torch.cat([x.real, x.imag], -1).unsqueeze(2), (x[-1].real, x[-1].imag)


def scan(log_lambda: Tensor, u: Tensor, before: Tensor, start: Tensor) -> Tensor:
    """Returns x [T, B, N] of x_t = lambda x_{t-1} + u_t, zero before a row with a start.

    Rows take in what lies 1, 2, 4, ... rows back, as far as their episode reaches.

    Args:
        log_lambda: [N] complex.
        u: [T, B, N] complex.
        before: [B, N] complex, x before row 0.
        start: [T, B] bool.
    """
    T = len(u)
    episode = start.cumsum(0)
    steps = torch.arange(1, T + 1, device=u.device)[:, None, None]
    goes_on = (episode == 0)[..., None]
    x, back = u, 1
    while back < T:
        is_same = (episode[back:] == episode[:-back])[..., None]
        earlier = torch.where(is_same, (back * log_lambda).exp() * x[:-back], 0)
        x = torch.cat([x[:back], x[back:] + earlier])
        back *= 2
    return x + torch.where(goes_on, (steps * log_lambda).exp() * before, 0)


CORE = CoreSpec(
    make=stack_of(LRU),
    sizes={name: size for name, size in STACK_SIZES.items() if name != "num_heads"},
    state_names=("real part of x", "imaginary part of x"),
    color=("#4a7c12", "#9ccc65"),
    marker=">",
)
