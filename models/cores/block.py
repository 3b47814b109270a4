"""The residual stack that most cores share; only the mixer inside its layers differs.

    h <- W_in x + b
    per layer:  h <- h + W_o heads(mixer(W_slow LayerNorm(h)))
                h <- h + W_2 relu(W_1 LayerNorm(h))

W_slow and W_o have no bias, the others have one. No positional encoding, no final LayerNorm. Who
owns the core may have it drop out of the relu's outputs and of what is added to h.

Source: Irie et al. 2021 (https://arxiv.org/abs/2106.06295), as its code builds it.

Shapes: T steps, B batch, N = T B rows, H heads, D features of a head, S slow outputs per head.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels.autograd import is_autocast, without_autocast
from ..precision import Dense
from .base import Core, CoreState
from .config import CoreConfig

STACK_SIZES = {"num_layers": 2, "hidden_size": 128, "num_heads": 4, "feedforward_size": 512}
"""Of Irie et al. 2021 in reinforcement learning."""


class Access(NamedTuple):
    """Where a step writes to a fast weight matrix, how strongly, and where it then reads."""

    key: Tensor  # [B, H, D]
    strength: Tensor  # [B, H] beta; 1 writes in full
    query: Tensor  # [B, H, D]


class Mixer(nn.Module, ABC):
    """What a layer makes of the steps so far, per head, from the slow net's outputs.

    num_heads is H, head_size is D.
    """

    slow_size: int | None
    """S, outputs of the slow net per head; None reads the residual stream itself, S = D."""
    state_shapes: tuple[tuple[int, ...], ...]
    """Shape of each state tensor, without the batch."""

    def __init__(self, config: CoreConfig) -> None:
        super().__init__()
        (hidden_size,) = config.sizes("hidden_size")
        self.num_heads = config.num_heads or 1
        self.head_size = hidden_size // self.num_heads
        self.read_size = self.head_size  # features of an output per head
        self.bptt = config.bptt
        self.kernel = config.kernel

    @abstractmethod
    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll.

        Args:
            slow: [T, B, H, S] the slow net's outputs.
            state: this layer's state before step 0.
            start: [T, B] bool, true where the state is zeroed before the step.

        Returns:
            Outputs [T, B, H, read_size] and the state after step T - 1.
        """


class FastNet(Mixer):
    """A mixer of fast weights: the slow net's outputs program them, in a kernel call."""

    @abstractmethod
    def accesses(self, slow: Tensor, state: CoreState) -> dict[str, Access]:
        """Returns how one step uses each fast weight matrix, by the matrix's name.

        `forward` computes this inside its kernel; here it is for those who want to look.

        Args:
            slow: [B, H, S] the slow net's outputs.
            state: this layer's state before the step, already zeroed where an episode starts. Its
                first tensors are the matrices [B, H, D, D], in the order of the result.
        """


class Block(nn.Module):
    """One layer: a mixer and a feed-forward net, each behind a LayerNorm and a residual."""

    dropout = 0.0
    """Share zeroed in training of what each half adds, and of the feed-forward's hidden units."""

    def __init__(self, config: CoreConfig, mixer: Mixer) -> None:
        super().__init__()
        size, feedforward_size = config.sizes("hidden_size", "feedforward_size")
        self.fast_net = mixer  # the name that saved weights have, whatever the mixer
        self.norm_fast: nn.Module = nn.Identity()
        self.slow: nn.Module = nn.Identity()
        if mixer.slow_size is not None:
            self.norm_fast = nn.LayerNorm(size)
            self.slow = Dense(size, mixer.num_heads * mixer.slow_size, bias=False)
        self.out = Dense(mixer.num_heads * mixer.read_size, size, bias=False)
        self.norm_feedforward = nn.LayerNorm(size)
        self.expand = Dense(size, feedforward_size)
        self.contract = Dense(feedforward_size, size)

    def forward(self, h_ND: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Returns the rows [N, hidden_size] after this layer, and its state."""
        slow = self.slow(self.norm_fast(h_ND)).view(*start.shape, self.fast_net.num_heads, -1)
        if is_autocast(slow.device):
            slow = slow.float()  # in bfloat16 a decay of 0.999 would be 1
        with without_autocast(slow.device):
            y_TBHD, state = self.fast_net(slow, state, start)
        y_ND = y_TBHD.reshape(len(h_ND), -1)
        if self.dropout == 0.0 and not self.out.is_narrow(y_ND):
            h_ND = torch.addmm(h_ND, y_ND, self.out.weight.t())  # a pass over the rows less
        else:
            h_ND = h_ND + self._drop(self.out(y_ND))
        hidden = functional.relu_(self.expand.hidden(self.norm_feedforward(h_ND)))
        return h_ND + self._drop(self.contract(self._drop(hidden))), state

    def _drop(self, added: Tensor) -> Tensor:
        return functional.dropout(added, self.dropout, self.training)


class ResidualStack(Core):
    """Layers of one kind of mixer. State: that of every layer in turn, [B, ...] each."""

    def __init__(
        self, config: CoreConfig, input_size: int, make_mixer: Callable[[CoreConfig], Mixer]
    ) -> None:
        super().__init__()
        self.output_size, num_layers = config.sizes("hidden_size", "num_layers")
        self.input = Dense(input_size, self.output_size)
        mixers = [make_mixer(config) for _ in range(num_layers)]
        self.blocks = nn.ModuleList(Block(config, mixer) for mixer in mixers)
        self._layer_shapes = mixers[0].state_shapes

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """The shapes of one layer's state, once per layer."""
        return self._layer_shapes * len(self.blocks)

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs all layers over an unroll; see `Core.forward`."""
        T, B, _ = x.shape
        h_ND = self.input(x.flatten(0, 1))
        per_layer = len(self._layer_shapes)
        last: CoreState = ()
        for layer, block in enumerate(self.blocks):
            before = state[layer * per_layer : (layer + 1) * per_layer]
            h_ND, after = block(h_ND, before, start)
            last += after
        return h_ND.view(T, B, -1), last


def stack_of(make_mixer: Callable[[CoreConfig], Mixer]) -> Callable[[CoreConfig, int], Core]:
    """Returns the `CoreSpec.make` of a residual stack with a mixer, made anew for each layer."""
    return partial(ResidualStack, make_mixer=make_mixer)
