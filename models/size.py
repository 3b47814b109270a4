"""How large a model is: the numbers of its parameters, and the bytes of what it remembers."""

from .cores import Core
from .policy import Policy
from .sequence_model import SequenceModel


def model_size(model: Core | Policy | SequenceModel) -> dict[str, int]:
    """Returns how many parameters a model and its core have, and the bytes of one state.

    Args:
        model: whole, or a core alone.

    Returns:
        By name: `parameters` of the model, `core_parameters` of its core, and `state_bytes` of
        the state of one environment or lane.
    """
    core = model if isinstance(model, Core) else model.core
    return {
        "parameters": sum(p.numel() for p in model.parameters()),
        "core_parameters": sum(p.numel() for p in core.parameters()),
        "state_bytes": sum(tensor.nbytes for tensor in core.initial_state(1)),
    }
