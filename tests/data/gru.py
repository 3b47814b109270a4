"""A core of one's own: a gated recurrent unit."""

from torch import nn


class GRU(nn.Module):
    """Gates what the next state keeps of the last one.

    Args:
        input_size: features of one input row.
        hidden_size: units of the state.
    """

    def __init__(self, input_size: int, hidden_size: int = 64):
        super().__init__()
        self.cell = nn.GRUCell(input_size, hidden_size)
        self.output_size = hidden_size
        self.state_shapes = ((hidden_size,),)

    def step(self, x, state):
        """Returns the output [B, hidden_size] for x [B, input_size], and the state after it."""
        h = self.cell(x, *state)
        return h, (h,)
