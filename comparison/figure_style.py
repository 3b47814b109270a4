"""How figures look: one colour and marker per core, light and dark in one SVG file.

Colours are those of Okabe and Ito (https://jfly.uni-koeln.de/color/), which remain distinct for
colour-blind readers; markers and dashes say the same without colour. A figure is drawn in its
light colours; the style sheet that is put into it swaps each for its dark partner where the
reader's system is dark, so that one file serves a page, a README and a browser tab.
"""

from collections.abc import Sequence
from io import StringIO
from itertools import count, cycle
from typing import Any, NamedTuple

import matplotlib as mpl
from matplotlib.figure import Figure

from comparison.grouping import core_kind
from models.cores import CORES, LOOKS

INK, MUTED, GRID = "#1f2328", "#59636e", "#d1d9e0"
DARK = {
    INK: "#f0f6fc",
    MUTED: "#9198a1",
    GRID: "#3d444d",
} | dict([core.color for core in CORES.values()] + [color for color, _ in LOOKS])
DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1.2)), (0, (5, 1.2, 1, 1.2)))
RC: Any = {
    "svg.fonttype": "none",  # text stays text
    "text.parse_math": False,  # names come from anywhere
    "font.family": "sans-serif",
    "font.size": 9.5,
    "text.color": INK,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.8,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "xtick.labelcolor": INK,
    "ytick.labelcolor": INK,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
    "lines.linewidth": 1.8,
    "lines.markersize": 6,
    "legend.frameon": False,
    "figure.facecolor": "none",
    "axes.facecolor": "none",
    "savefig.facecolor": "none",
}


class Look(NamedTuple):
    """How a core is drawn, wherever it appears."""

    color: str
    marker: str
    dashes: Any
    is_filled: bool

    @property
    def face(self) -> str:
        """Fill of its markers: variants of one kind are hollow."""
        return self.color if self.is_filled else "none"


def looks(cores: Sequence[str]) -> dict[str, Look]:
    """Returns a look for every core: colour and marker by kind, dashes by variant."""
    kinds = {kind: (spec.color, spec.marker) for kind, spec in CORES.items()}
    guests = sorted({core_kind(core) for core in cores} - kinds.keys())
    kinds |= dict(zip(guests, cycle(LOOKS), strict=False))
    variants = {kind: count() for kind in kinds}
    result = {}
    for core in cores:
        kind = core_kind(core)
        number = next(variants[kind])
        (color, _), marker = kinds[kind]
        result[core] = Look(color, marker, DASHES[number % len(DASHES)], number == 0)
    return result


def svg(figure: Figure, name: str) -> str:
    """Returns a figure as SVG text that follows the reader's light or dark mode.

    The same figure gives the same text; `name` keeps its ids apart from other figures'.
    """
    text = StringIO()
    with mpl.rc_context({"svg.hashsalt": name, "svg.fonttype": "none"}):
        figure.savefig(text, format="svg", metadata={"Date": None})
    head, body = text.getvalue().split("<defs>", 1)
    return f"{head}<style>{_dark_rules(body)}</style>\n <defs>{body}"


def _dark_rules(body: str) -> str:
    """Returns the rules of the colours that a figure has."""
    rules = "".join(
        f'[style*="{what}: {light}"]{{{what}:{dark} !important}}'
        for light, dark in DARK.items()
        for what in ("fill", "stroke")
        if f"{what}: {light}" in body
    )
    return f"@media (prefers-color-scheme:dark){{{rules}}}"
