"""An environment and a core that cannot work."""

import torch
from torch import nn


def make():
    """Fails before there is an environment."""
    return 1 / 0


class Core(nn.Module):
    """Returns its input where its output_size promises something else."""

    def __init__(self, input_size: int) -> None:
        super().__init__()
        self.output_size = input_size + 1
        self.state_shapes = ((4,),)

    def step(self, x: torch.Tensor, state: tuple[torch.Tensor]):
        """Does nothing."""
        return x, state
