"""Sizes that bring a core to a number of parameters, so that cores compare at equal size."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import torch

from .config import CoreConfig
from .registry import core_spec, make_core, resolved

TOLERANCE = 0.05
"""Of the number of parameters asked for."""
HEAD_STEP = 8
"""Head sizes are multiples of this: a vector of a CPU's registers."""


def fitted(config: CoreConfig, input_size: int) -> CoreConfig:
    """Returns settings with sizes that come to about `config.parameters`.

    hidden_size becomes the largest for which feedforward_size can stay in proportion to it; what is
    then left goes to feedforward_size. Of a core without a feedforward_size it becomes the next
    larger where that is nearer and this is too small. Sizes that fit are kept, as are those of a
    core that has no hidden_size, and all where `config.parameters` is null.

    Args:
        config: of a core.
        input_size: features of one input row.

    Raises:
        ValueError: the core cannot be as small, or hits the number with no size.
    """
    budget = config.parameters
    config = resolved(config)
    if budget is None or "hidden_size" not in core_spec(config.kind).sizes:
        return config
    if not _fits(config, input_size, budget):
        below, above = _around(config, input_size, budget)
        config = _filled(below, input_size, budget)
        if config.feedforward_size is None and not _fits(config, input_size, budget):
            config = min(below, above, key=lambda it: abs(num_parameters(it, input_size) - budget))
    if not _fits(config, input_size, budget):
        raise ValueError(
            f"core.parameters: {config.kind} cannot have {budget:,} within {TOLERANCE:.0%}; close: "
            f"{num_parameters(config, input_size):,}"
        )
    return config


def num_parameters(config: CoreConfig, input_size: int) -> int:
    """Returns how many parameters a core has; none is allocated."""
    with torch.device("meta"):
        return sum(p.numel() for p in make_core(config, input_size).parameters())


def _fits(config: CoreConfig, input_size: int, budget: int) -> bool:
    return abs(num_parameters(config, input_size) - budget) <= TOLERANCE * budget


def _around(config: CoreConfig, input_size: int, budget: int) -> tuple[CoreConfig, CoreConfig]:
    """Returns the last settings within a budget and the first beyond; the least where all are."""
    sizes = _growing(config)
    below = above = next(sizes)
    while num_parameters(above, input_size) <= budget:
        below, above = above, next(sizes)
    return below, above


def _growing(config: CoreConfig) -> Iterator[CoreConfig]:
    """Yields settings of growing hidden_size, with feedforward_size in proportion."""
    step = 1 if config.num_heads is None else HEAD_STEP * config.num_heads
    (given,) = config.sizes("hidden_size")
    for hidden_size in count(step, step):
        feedforward_size = config.feedforward_size
        if feedforward_size is not None:
            feedforward_size = max(feedforward_size * hidden_size // given, 1)
        yield replace(config, hidden_size=hidden_size, feedforward_size=feedforward_size)


def _filled(config: CoreConfig, input_size: int, budget: int) -> CoreConfig:
    """Returns settings whose feedforward_size takes up what the others leave of a budget."""
    size = config.feedforward_size
    if size is None:
        return config
    now = num_parameters(config, input_size)
    a_unit = num_parameters(replace(config, feedforward_size=size + 1), input_size) - now
    return replace(config, feedforward_size=max(size + (budget - now) // a_unit, 1))
