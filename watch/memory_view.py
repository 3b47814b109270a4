"""What a policy's memory holds after a step, and how the step used it, read off while it plays."""

from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from models.cores import Core, CoreState, FastNet

Floats = NDArray[np.float32]


class FastWeights(NamedTuple):
    """One fast weight matrix of one layer, all heads."""

    label: str
    weights: Floats  # [H, D, D] after the step; rows are keys, columns values
    key: Floats  # [H, D] where the step wrote
    strength: Floats  # [H] beta, how strongly
    query: Floats  # [H, D] where it read


class Units(NamedTuple):
    """A vector of memory units."""

    label: str
    activity: Floats  # [N]


Memory = list[FastWeights] | list[Units]


class MemoryView:
    """Looks into a core that steps one environment.

    It listens at the fast nets (forward hooks), so that nothing is computed twice and playing
    and training run the code they always run.

    Args:
        core: of the policy that plays.
        state_names: of the state's tensors of one layer, in order.
    """

    def __init__(self, core: Core, state_names: tuple[str, ...] = ()) -> None:
        self._state_names = state_names
        self._calls: dict[int, tuple[FastNet, Any, Any]] = {}
        fast_nets = [module for module in core.modules() if isinstance(module, FastNet)]
        for layer, net in enumerate(fast_nets):
            net.register_forward_hook(self._listener(layer))

    def read(self, state: CoreState) -> Memory:
        """Returns the memory after the last step; empty for a core without memory.

        Args:
            state: of one environment, as the last step returned it.
        """
        if not self._calls:
            names = labels(self._state_names, len(state))
            return [Units(name, _array(s[0]).ravel()) for name, s in zip(names, state, strict=True)]
        return [
            weights
            for layer, call in sorted(self._calls.items())
            for weights in _fast_weights(f"layer {layer + 1}", *call)
        ]

    def _listener(self, layer: int) -> Any:
        def listen(net: FastNet, args: tuple[Any, ...], output: tuple[Any, ...]) -> None:
            self._calls[layer] = (net, args, output)

        return listen


def labels(names: tuple[str, ...], num_tensors: int) -> list[str]:
    """Returns a label for each state tensor: its name, and its layer where there are several."""
    if not names:
        return [f"state {number + 1}" for number in range(num_tensors)]
    if num_tensors == len(names):
        return list(names)
    return [
        f"layer {layer + 1} {name}" for layer in range(num_tensors // len(names)) for name in names
    ]


def _fast_weights(
    label: str, net: FastNet, args: tuple[Any, ...], output: tuple[Any, ...]
) -> list[FastWeights]:
    """Returns the matrices of a layer from a call of its fast net with T = B = 1."""
    slow, state, start = args
    before = tuple(torch.zeros_like(s) if start.item() else s for s in state)
    accesses = net.accesses(slow[0], before)
    labels = [label] if len(accesses) == 1 else [f"{label} {name}" for name in accesses]
    return [
        FastWeights(of, *(_array(x[0]) for x in (matrix, *access)))
        for of, access, matrix in zip(labels, accesses.values(), output[1], strict=False)
    ]


def _array(x: Tensor) -> Floats:
    array: Floats = x.detach().float().numpy()
    return array
