"""Every figure of a report: SVG panels for light and dark, and the numbers they show as CSV."""

from collections.abc import Callable

import matplotlib as mpl

from comparison.figure_curves import curves_over_length, curves_over_time
from comparison.figure_frontier import frontier
from comparison.figure_parts import Plot
from comparison.figure_scores import aggregates, profiles, scores
from comparison.figure_sizes import sizes
from comparison.figure_style import RC
from comparison.numbers import Comparison

MAKERS: tuple[Callable[[Comparison], Plot | None], ...] = (
    scores,
    aggregates,
    profiles,
    frontier,
    curves_over_length,
    curves_over_time,
    sizes,
)


def all_plots(comparison: Comparison) -> dict[str, Plot]:
    """Returns every figure that these runs give, by name."""
    with mpl.rc_context(RC):
        plots = [make(comparison) for make in MAKERS]
    return {plot.name: plot for plot in plots if plot}
