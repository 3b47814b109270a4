"""A figure of tuning runs that are kept in `results/pong_tuning`.

`python -m tools.tuning_figure FIGURE NAME...` draws entropy, length of games and return of the
runs of these names over their frames.
"""

import argparse
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from comparison.figure_style import RC
from experiment.files import read_json
from tools.pages.pong_tuning import RESULTS

PANELS = {"entropy": "entropy, nats", "steps": "agent steps a game", "return": "return, points"}


def draw(path: Path, names: list[str]) -> None:
    """Writes the figure of some runs as an image of the kind that its name says."""
    with mpl.rc_context(RC):
        figure = Figure(figsize=(9, 3), layout="constrained")
        for axes, (column, label) in zip(
            figure.subplots(1, len(PANELS)), PANELS.items(), strict=True
        ):
            for name in names:
                curves = read_json(RESULTS / f"{name}.json")["curves"]
                pairs = zip(curves["frames"], curves[column], strict=True)
                points = [(frames / 1e6, y) for frames, y in pairs if y is not None]
                axes.plot(*zip(*points, strict=True), label=name, linewidth=1.2)
            axes.set_xlabel("million frames")
            axes.set_ylabel(label)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        figure.savefig(path, dpi=150)


def main() -> None:
    """Draws what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("figure", type=Path)
    parser.add_argument("names", nargs="+")
    arguments = parser.parse_args()
    draw(arguments.figure, arguments.names)


if __name__ == "__main__":
    main()
