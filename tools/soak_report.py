"""What a soak showed: whether its bounds held, and a figure of what was watched."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray
from rich.table import Table
from scipy.stats import theilslopes

from comparison.figure_style import MUTED, RC

WARM_UP_SHARE = 1 / 6  # of the samples, in which caches fill and the first evaluation runs
MAX_MIB_PER_HOUR = 10.0  # a gibibyte in four days
PANELS = {
    "resident_mib": "resident memory, MiB",
    "threads": "threads",
    "open_files": "open files",
    "lag_updates": "lag, updates",
}
COLOR = "#0072b2"


def judge(report: dict[str, Any]) -> dict[str, Any]:
    """Returns each figure of a soak, what it may be, and whether all bounds held.

    Memory: the Theil-Sen slope after the warm-up; the upper end of its 95 % interval is what must
    not exceed the bound (it takes samples for independent, so it is narrower than the truth).
    Threads and open files: the median of the last quarter less that of the first after the warm-up,
    so that a file that is open while a checkpoint is written does not count.
    """
    steady = after_warm_up(report["samples"])
    slope, _, low, high = theilslopes(steady["resident_mib"], steady["seconds"] / 3600)
    checks = {
        "memory_growth_mib_per_hour": (high, MAX_MIB_PER_HOUR),
        "thread_growth": (growth(steady["threads"]), 0),
        "open_file_growth": (growth(steady["open_files"]), 0),
        "largest_lag_updates": (
            report["largest_lag_updates"],
            report["settings"]["max_policy_lag"],
        ),
        "most_checkpoints": (
            max(report["samples"]["checkpoints"]),
            report["settings"]["keep_checkpoints"] + 1,  # the oldest goes after the newest came
        ),
        "failed_evaluations": (sum(e["exit_code"] != 0 for e in report["evaluations"]), 0),
        "training_exit_code": (report["exit_code"] or 0, 0),
    }
    held = {name: bool(value <= bound) for name, (value, bound) in checks.items()}
    held["evaluations"] = len(report["evaluations"]) > 0
    held["ended_by_the_clock"] = report["status"]["status"] == "stopped"
    return {
        "passed": all(held.values()),
        "memory_slope_mib_per_hour": {"slope": slope, "low": low, "high": high},
        "checks": {name: {"value": v, "bound": b} for name, (v, b) in checks.items()},
        "failed": [name for name, holds in held.items() if not holds],
    }


def after_warm_up(samples: dict[str, list[float]]) -> dict[str, NDArray[np.float64]]:
    """Returns the samples after the warm-up as arrays [N]."""
    first = int(len(samples["seconds"]) * WARM_UP_SHARE)
    return {name: np.array(values[first:], dtype=float) for name, values in samples.items()}


def growth(values: NDArray[np.float64]) -> float:
    """Returns the median of the last quarter of values [N] less that of the first."""
    quarter = -(-len(values) // 4)
    return float(np.median(values[-quarter:]) - np.median(values[:quarter]))


def verdict_table(report: dict[str, Any]) -> Table:
    """Returns the verdict for a terminal."""
    verdict, samples = report["verdict"], report["samples"]
    passed = "held" if verdict["passed"] else f"failed: {', '.join(verdict['failed'])}"
    title = f"{samples['seconds'][-1]:,.0f} s, {samples['frames'][-1]:,} frames: {passed}"
    table = Table("figure", "value", "bound", title=title)
    for name, check in verdict["checks"].items():
        table.add_row(name.replace("_", " "), f"{check['value']:.4g}", f"{check['bound']:.4g}")
    return table


def draw(report: dict[str, Any], path: Path) -> None:
    """Draws memory, threads, open files and lag over time, into a PNG file."""
    samples = report["samples"]
    minutes = np.array(samples["seconds"]) / 60
    with mpl.rc_context(RC | {"savefig.facecolor": "white"}):
        figure = Figure(figsize=(9, 4.8), layout="constrained")
        for axes, (name, title) in zip(figure.subplots(2, 2).flat, PANELS.items(), strict=True):
            axes.plot(minutes, samples[name], color=COLOR, linewidth=1.2)
            axes.set_title(title)
            axes.set_ylim(0, max(samples[name]) * 1.25 + 1)
            axes.axvspan(0, minutes[-1] * WARM_UP_SHARE, color=MUTED, alpha=0.12, linewidth=0)
            if name == "lag_updates":
                _bound(axes, report["settings"]["max_policy_lag"])
        figure.supxlabel("minutes; warm-up shaded", fontsize=RC["font.size"])
        figure.savefig(path, dpi=110)


def _bound(axes: Axes, max_policy_lag: int) -> None:
    axes.axhline(max_policy_lag, color=MUTED, linestyle="--", linewidth=1)
    axes.set_ylim(0, max_policy_lag * 1.25 + 1)
    axes.text(0, max_policy_lag + 0.5, " max_policy_lag", color=MUTED, fontsize=8.5)
