"""The optimiser of a policy, and what it remembers."""

from collections.abc import Sequence

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from models.policy import Policy

MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}
"""What torch's optimisers remember of every parameter, beside the number of their steps."""


def optimizer_state_of(
    parameters: Sequence[Tensor], config: LearnerConfig
) -> list[dict[str, Tensor]]:
    """Returns what a learner saves of an optimiser that has made a step, in structure."""
    return [
        {"step": torch.zeros(())} | dict.fromkeys(MOMENTS[config.optimizer], parameter)
        for parameter in parameters
    ]


def make_optimizer(policy: Policy, config: LearnerConfig) -> torch.optim.Optimizer:
    """Returns the optimiser that `config` names, over all of the policy's parameters.

    On a GPU its step can be captured: nothing of it is on the host, the step size included.
    """
    parameters = list(policy.parameters())
    device = parameters[0].device
    is_cuda = device.type == "cuda"
    rate = torch.tensor(config.learning_rate, device=device) if is_cuda else config.learning_rate
    epsilon = config.optimizer_epsilon
    if config.optimizer == "adam":
        return torch.optim.Adam(parameters, lr=rate, eps=epsilon, fused=True, capturable=is_cuda)
    return torch.optim.RMSprop(
        parameters,
        lr=rate,
        alpha=config.rmsprop_decay,
        eps=epsilon,
        foreach=True,
        capturable=is_cuda,
    )
