"""What the intervals of a report are worth: how often they hold the truth, on made-up scores.

`python -m benchmarks.interval_coverage` takes some minutes. Scores are normal, or fall into two
groups, as those of runs that learn a task or do not: 1 with probability `LEARNS`, and else 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser
from rich.progress import track
from rich.table import Table

from benchmarks.result_file import show, write_result
from comparison.statistics import Array, iqm, mean, percentile_interval, t_half_width
from experiment.arguments import fields_of
from experiment.bounds import refuse_below
from experiment.provenance import provenance

SEEDS = (3, 5, 10)
NUM_TASKS = (1, 4)
LEARNS = 0.8
NAMES = ("mean", "IQM")


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How much is drawn.

    Args:
        repetitions: comparisons that are made up for each number of seeds and tasks.
        seed: of the draws.
    """

    repetitions: int = 2000
    seed: int = 0

    def __post_init__(self) -> None:
        refuse_below(self, 1, "repetitions")


def t_coverage(scores: Array, truth: float) -> float:
    """Returns the share of the rows of scores [repetitions, seeds] whose t interval holds truth."""
    off = np.abs(scores.mean(axis=1) - truth)
    return float((off <= t_half_width(scores.T)).mean())


def percentile_coverage(scores: Array, truth: float) -> dict[str, float]:
    """Returns the share of comparisons whose percentile interval holds truth, by statistic.

    Args:
        scores: [repetitions, tasks, seeds].
        truth: of the mean and the IQM.
    """

    def both(*samples: Array, axis: int = -1) -> Array:
        return np.stack([mean(*samples, axis=axis), iqm(*samples, axis=axis)])

    held = []
    for tasks in track(scores, f"{scores.shape[1]} tasks, {scores.shape[2]} seeds"):
        low, high = percentile_interval(list(tasks), both)
        held.append((low <= truth) & (truth <= high))
    return dict(zip(NAMES, np.mean(held, axis=0).tolist(), strict=True))


def measure(settings: Settings) -> list[dict[str, Any]]:
    """Returns a row per number of seeds: the coverage of every interval."""
    rng = np.random.default_rng(settings.seed)
    rows = []
    for seeds in SEEDS:
        normal = rng.normal(size=(settings.repetitions, max(NUM_TASKS), seeds))
        groups = rng.binomial(1, LEARNS, size=(settings.repetitions, seeds)).astype(float)
        rows.append(
            {
                "seeds": seeds,
                "t": {
                    "normal": t_coverage(normal[:, 0], 0.0),
                    "groups": t_coverage(groups, LEARNS),
                },
                "percentile": {
                    str(tasks): percentile_coverage(normal[:, :tasks], 0.0) for tasks in NUM_TASKS
                },
            }
        )
    return rows


HEADER = (
    "seeds per task",
    "t interval, one task",
    f"the same, where {LEARNS:.0%} of runs learn",
    *(
        f"percentiles, {name} of {tasks} task{'s' if tasks > 1 else ''}"
        for name in NAMES
        for tasks in NUM_TASKS
    ),
)


def cells(row: dict[str, Any]) -> list[str]:
    """Returns a row under `HEADER`."""
    shares = [row["t"]["normal"], row["t"]["groups"]]
    shares += [row["percentile"][str(tasks)][name] for name in NAMES for tasks in NUM_TASKS]
    return [str(row["seeds"]), *(f"{share:.0%}" for share in shares)]


def main(settings: Settings) -> None:
    """Measures, prints and writes."""
    rows = measure(settings)
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*cells(row))
    report = provenance() | {"settings": vars(settings), "rows": rows}
    show(report, [table], write_result("coverage", report), as_json=False)


if __name__ == "__main__":
    parser = ArgumentParser(description="Measure what the intervals of a report are worth.")
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
