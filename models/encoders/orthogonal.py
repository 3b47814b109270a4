"""Orthogonal first weights: a signal keeps its size on its way through the layers.

Under torch's default the few pixels that move in Pong change a feature of the small encoder by
0.0007 (standard deviation over time, 2026-11-24), and the values of `key_value` reach the core
so faintly that no step size suits both the LSTM and the fast-weight cores (docs/results.md).

Source: Saxe et al. 2013 (https://arxiv.org/abs/1312.6120).
"""

from torch import nn

from .base import Encoder


def initialise_orthogonal(encoder: Encoder) -> Encoder:
    """Gives every layer orthogonal weights of gain sqrt(2) and zero biases, in place."""
    for layer in encoder.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.orthogonal_(layer.weight, gain=2**0.5)
            assert layer.bias is not None
            nn.init.zeros_(layer.bias)
    return encoder
