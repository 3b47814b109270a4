"""The memoryless control: the heads see the core's input as it is."""

from torch import Tensor

from .base import Core, CoreState
from .config import CoreConfig
from .spec import CoreSpec


class Feedforward(Core):
    """Identity."""

    def __init__(self, config: CoreConfig, input_size: int) -> None:
        super().__init__()
        self.output_size = input_size

    @property
    def state_shapes(self) -> tuple[tuple[int, ...], ...]:
        """No state."""
        return ()

    def forward(self, x: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Returns x; see `Core.forward`."""
        return x, state


CORE = CoreSpec(make=Feedforward, has_state=False, color=("#6a737d", "#a5aeb8"), marker="X")
