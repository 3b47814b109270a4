"""Which implementation computes a core's recurrence, found out without a call of it."""

import torch

from ..kernels import dispatch, inputs, operators
from .config import CoreConfig
from .registry import core_spec, resolved


def kernel_backend(config: CoreConfig, device: torch.device) -> str | None:
    """Returns the name of the backend that runs the recurrence of a core on a device.

    None for a core without a recurrence.

    Raises:
        ValueError: the backend that the settings name cannot run it.
    """
    operator = core_spec(config.kind).kernel
    if operator is None:
        return None
    kernel = operators()[operator]
    config = resolved(config)
    (hidden_size,) = config.sizes("hidden_size")
    num_heads = config.num_heads or 1
    sizes = {"T": 1, "M": 1, "B": 1, "H": num_heads, "N": hidden_size}
    sizes |= dict.fromkeys("KVD", hidden_size // num_heads)
    tensors = [
        torch.zeros(
            [inputs.size_of(dimension, sizes) for dimension in dimensions.split()],
            dtype=torch.bool if name == "start" else torch.float32,
            device=device,
        )
        for name, dimensions in kernel.LAYOUT.items()
    ]
    return dispatch.choose(operator, kernel.BACKENDS, config.kernel, *tensors).name
