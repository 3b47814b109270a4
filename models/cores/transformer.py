"""Transformer: softmax attention over the latest rows of an episode, which are the state.

The stack is that of the other cores; in place of fast weights stand the keys and values of the last
`window` rows, the current one included, and y = softmax(K q / sqrt(D)) V. Nothing is seen across a
start, and positions begin at 0 there.

Source: Vaswani et al. 2017 (https://arxiv.org/abs/1706.03762), with the LayerNorm before each half
of a block, as the other cores have it.

Shapes: T steps, B batch, H heads, D features of a head, M = window - 1 rows of memory.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from .base import Core, CoreState
from .block import STACK_SIZES, Mixer, ResidualStack
from .config import CoreConfig
from .spec import CoreSpec

MOST_ROWS = 4096
"""No weight depends on the window: a small file of weights could ask for all of the memory."""
LONGEST_WAVE = 10_000  # rows, over 2 pi: Vaswani et al. 2017, section 3.5


@dataclass(frozen=True, kw_only=True)
class TransformerSettings:
    """What a Transformer has beside the sizes of its stack.

    Args:
        window: rows that are attended to, the current one included, 2 to 4096.
        positions: waves that tell rows of an episode apart, added to the core's input, or none.
    """

    window: int = 64
    positions: Literal["sinusoids", "none"] = "sinusoids"

    def __post_init__(self) -> None:
        if not 2 <= self.window <= MOST_ROWS:
            raise ValueError(f"core.args.window must be in 2 to {MOST_ROWS}, got {self.window}")
        if self.positions not in ("sinusoids", "none"):
            raise ValueError(
                f"core.args.positions must be sinusoids or none, got {self.positions!r}"
            )


def rows_before(age: Tensor, start: Tensor) -> Tensor:
    """Returns how many rows of its episode stand before each row, [T, B] int64.

    Args:
        age: [B] rows of the current episode before row 0.
        start: [T, B] bool, true where an episode begins.
    """
    row = torch.arange(len(start), device=start.device)[:, None]
    last_start = torch.where(start, row, -1).cummax(0).values
    return torch.where(last_start < 0, row + age.long(), row - last_start)


class Attention(Mixer):
    """State: keys and values [B, M, H, D], the latest last, zero where none; age [B, 1] in rows."""

    def __init__(self, config: CoreConfig, window: int) -> None:
        super().__init__(config)
        self.slow_size = 3 * self.head_size
        memory = (window - 1, self.num_heads, self.head_size)
        self.state_shapes = (memory, memory, (1,))

    def forward(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs an unroll; see `Mixer.forward`."""
        if self.bptt == "full":
            return self._attend(slow, state, start)
        outputs = []
        for t in range(len(slow)):
            state = tuple(tensor.detach() for tensor in state)
            y, state = self._attend(slow[t : t + 1], state, start[t : t + 1])
            outputs.append(y)
        return torch.cat(outputs), state

    def _attend(self, slow: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        T = len(slow)
        age = state[2]
        keys, values = (x.masked_fill(start[0, :, None, None, None], 0) for x in state[:2])
        M = keys.shape[1]  # weight 0 is not enough for a memory that is not finite
        q_BTHD, k_BTHD, v_BTHD = slow.transpose(0, 1).chunk(3, -1)
        keys, values = torch.cat([keys, k_BTHD], 1), torch.cat([values, v_BTHD], 1)
        before_TB = rows_before(age[:, 0], start)
        unused = M - memory_in_use(before_TB, M)
        y_BHTD = scaled_dot_product_attention(
            q_BTHD.transpose(1, 2),
            keys[:, unused:].transpose(1, 2),
            values[:, unused:].transpose(1, 2),
            attn_mask=visible(before_TB, M)[:, None, :, unused:],
        )
        age = before_TB[-1, :, None] + 1
        kept = torch.arange(M, 0, -1, device=age.device) <= age  # [B, M]
        memory = (x[:, T:].masked_fill(~kept[:, :, None, None], 0.0) for x in (keys, values))
        return y_BHTD.permute(2, 0, 1, 3), (*memory, age.to(state[2].dtype))


def visible(before: Tensor, memory: int) -> Tensor:
    """Returns whether row t of lane b sees row j of memory and unroll, [B, T, M + T] bool.

    Args:
        before: [T, B] rows of the episode before each row.
        memory: M.
    """
    T = len(before)
    row = torch.arange(T, device=before.device)[:, None]
    distance = memory + row - torch.arange(memory + T, device=before.device)  # [T, M + T]
    return (distance >= 0) & (distance <= before.clamp(max=memory).t()[:, :, None])


def memory_in_use(before: Tensor, memory: int) -> int:
    """Returns how many of the latest rows of memory any row sees.

    All of them on a GPU, which would have to be waited for.
    """
    if before.device.type != "cpu":
        return memory
    reach = before - torch.arange(len(before))[:, None]
    return int(reach.max().clamp(0, memory))


def sinusoids(position: Tensor, size: int) -> Tensor:
    """Returns waves [..., size] of positions [...]: sines in even places, cosines in odd ones."""
    place = torch.arange(size, device=position.device)
    angle = position[..., None] * LONGEST_WAVE ** -((place // 2 * 2).to(position.dtype) / size)
    return torch.where(place % 2 == 0, angle.sin(), angle.cos())


class Transformer(Core):
    """State: that of every layer's attention in turn."""

    def __init__(self, config: CoreConfig, input_size: int, settings: TransformerSettings) -> None:
        super().__init__()
        self.has_positions = settings.positions == "sinusoids"
        self.stack = ResidualStack(
            config, input_size, lambda config: Attention(config, settings.window)
        )
        self.output_size = self.stack.output_size

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """Keys, values and age, once per layer."""
        return self.stack.state_shapes

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Runs all layers over an unroll; see `Core.forward`."""
        if self.has_positions:
            position = rows_before(state[2][:, 0], start).to(x.dtype)
            x = x + sinusoids(position, x.shape[-1])
        y: Tensor
        y, state = self.stack(x, state, start)
        return y, state


def _make(config: CoreConfig, input_size: int) -> Transformer:
    return Transformer(config, input_size, TransformerSettings(**config.args))  # type: ignore[arg-type]


CORE = CoreSpec(
    make=_make,
    sizes=STACK_SIZES,
    args=TransformerSettings,
    state_names=("keys", "values", "age"),
    color=("#3d4db3", "#9aa5f0"),
    marker="P",
)
