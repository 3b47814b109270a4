"""The optimiser of a policy."""

import torch

from agents.impala.config import LearnerConfig
from models.policy import Policy


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
