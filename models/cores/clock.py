"""How long a core takes on a CPU, forward and backward."""

import time

from torch import Tensor

from .base import Core, CoreState


class CoreClock:
    """Runs a core and adds up its seconds; on a GPU, which works while the caller goes on, not.

    A backward pass comes to the core when the gradient of its outputs is known, and leaves it when
    that of its inputs is: hooks on the two note the time. One that takes another way, through the
    state alone or not as far as the inputs, is not counted.
    """

    def __init__(self) -> None:
        self.seconds = 0.0  # so far
        self._began_backward: float | None = None

    def run(
        self, core: Core, x: Tensor, state: CoreState, start: Tensor
    ) -> tuple[Tensor, CoreState]:
        """Returns what the core returns; see `Core.forward`."""
        began = time.perf_counter()
        y, new_state = core(x, state, start)
        self.seconds += time.perf_counter() - began
        if x.requires_grad and x.device.type == "cpu":
            y.register_hook(self._enter_backward)
            x.register_hook(self._leave_backward)  # type: ignore[no-untyped-call]
        return y, new_state

    def _enter_backward(self, _: Tensor) -> None:
        self._began_backward = time.perf_counter()

    def _leave_backward(self, _: Tensor) -> None:
        if self._began_backward is not None:
            self.seconds += time.perf_counter() - self._began_backward
        self._began_backward = None
