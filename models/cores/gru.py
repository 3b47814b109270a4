"""A gated recurrent unit: what the next state keeps of the last one is gated. No fused kernel."""

from torch import Tensor, nn

from .base import Core, CoreState
from .config import CoreConfig
from .spec import CoreSpec
from .stepped import Stepped


class GRU(nn.Module):
    """One layer, torch's cell. State: h [B, N], N = hidden_size.

    Source: Cho et al. 2014 (https://arxiv.org/abs/1406.1078), as `torch.nn.GRUCell` computes it.
    """

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.gates = nn.GRUCell(input_size, hidden_size)
        self.output_size = hidden_size
        self.state_shapes = ((hidden_size,),)

    def step(self, x: Tensor, state: CoreState) -> tuple[Tensor, CoreState]:
        """Returns h, which is output and state, after a row x [B, D]; see `Cell.step`."""
        h = self.gates(x, *state)
        return h, (h,)


def _make(config: CoreConfig, input_size: int) -> Core:
    return Stepped(GRU(input_size, *config.sizes("hidden_size")), config.bptt)


CORE = CoreSpec(
    make=_make,
    sizes={"hidden_size": 256},
    state_names=("output h",),
    color=("#6b5b00", "#c9b037"),
    marker="*",
)
