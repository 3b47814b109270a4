"""Which implementation computes a core's recurrence, found out without a call of it."""

from types import ModuleType

import torch

from ..kernels import delta_rnn, delta_rule, dispatch, linear_attention, lstm, rdn
from .config import CoreConfig, CoreKind

KERNELS: dict[CoreKind, ModuleType] = {
    "lstm": lstm,
    "linear_transformer": linear_attention,
    "delta_net": delta_rule,
    "delta_rnn": delta_rnn,
    "rdn": rdn,
}


def kernel_backend(config: CoreConfig, device: torch.device) -> str | None:
    """Returns the name of the backend that runs the recurrence of a core on a device.

    None for a core without a recurrence.

    Raises:
        ValueError: the backend that the settings name cannot run it.
    """
    if config.kind not in KERNELS:
        return None
    kernel = KERNELS[config.kind]
    head_size, N = config.hidden_size // config.num_heads, config.lstm_size
    sizes = {"T": 1, "B": 1, "H": config.num_heads, "N": N, "4N": 4 * N}
    sizes |= dict.fromkeys(("K", "V", "D"), head_size)
    tensors = [
        torch.zeros(
            [sizes[dimension] for dimension in dimensions.split()],
            dtype=torch.bool if name == "start" else torch.float32,
            device=device,
        )
        for name, dimensions in kernel.LAYOUT.items()
    ]
    operator = kernel.__name__.rpartition(".")[-1]
    return dispatch.choose(operator, kernel.BACKENDS, config.kernel, *tensors).name
