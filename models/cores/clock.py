"""How long a core takes: forward and, where a gradient flows, backward."""

import time

from torch import Tensor

from models.cores.base import Core, CoreState


class CoreClock:
    """Runs a core and adds up its seconds, on a device that works while the caller waits (a CPU).

    A backward pass comes to the core when the gradient of its outputs is known, and leaves it when
    that of its inputs is: hooks on the two note the time.
    """

    def __init__(self) -> None:
        self.seconds = 0.0  # so far
        self._began_backward = 0.0

    def run(
        self, core: Core, x: Tensor, state: CoreState, start: Tensor
    ) -> tuple[Tensor, CoreState]:
        """Returns what the core returns; see `Core.forward`."""
        began = time.perf_counter()
        y, new_state = core(x, state, start)
        self.seconds += time.perf_counter() - began
        if x.requires_grad:
            y.register_hook(self._enter_backward)
            x.register_hook(self._leave_backward)  # type: ignore[no-untyped-call]
        return y, new_state

    def _enter_backward(self, _: Tensor) -> None:
        self._began_backward = time.perf_counter()

    def _leave_backward(self, _: Tensor) -> None:
        self.seconds += time.perf_counter() - self._began_backward
