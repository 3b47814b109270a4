"""What a report says of its numbers: what each means, and what it is worth."""

from collections.abc import Mapping, Sequence

from comparison.numbers import Comparison
from comparison.statistics import MIN_RUNS, RESAMPLES

MAX_NAMES = 5  # in a sentence or a title
T_INTERVALS = (
    "The interval of a mean is a 95 % t interval, which takes seeds to be normal. Where runs "
    "either learn or do not it says less than it seems, and may reach beyond what can be scored: "
    "of runs four in five of which learn, it held the truth in 65 % of cases at 5 seeds and 89 % "
    "at 10. One without width says that these seeds agree, not that the next one will."
)
MEMORY = (
    "Mean score over the tasks that ask for one kind of memory: to keep what was seen once, to "
    "rewrite it as it is renewed, to give back in order, to bind one thing to another, to track "
    "what steps do to a state."
)
AGGREGATES = (
    "IQM is the mean of the middle half of all runs; median and mean are over task means; the "
    "optimality gap is how far runs stay below a score of 1 on average (Agarwal et al. 2021)."
)
INTERVALS = (
    f"Intervals across tasks are percentiles of {RESAMPLES:,} bootstrap resamples of the seeds of "
    "each task, seeded. They are too narrow at few seeds: on normal scores, a nominal 95 % "
    "interval of the mean of one task held the truth in 76 % of cases at 3 seeds, 84 % at 5 and "
    "90 % at 10; of the IQM of four tasks, 87 %, 91 % and 93 %. Below "
    f"{MIN_RUNS} seeds none is drawn. One without width says that no resample changes the number, "
    "as where all seeds reach the ceiling; the truth may differ."
)
SETTINGS = "Within a task, only the core should differ; whatever else does is listed here."


def listed(names: Sequence[str], what: str) -> str:
    """Returns names as a sentence has them, or how many where they are too many."""
    if len(names) > MAX_NAMES:
        return f"{len(names)} {what}"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def title(comparison: Comparison) -> str:
    """Returns what was compared."""
    return f"{listed(comparison.cores, 'cores')} {on_tasks(comparison)}"


def on_tasks(comparison: Comparison) -> str:
    """Returns on what it was compared."""
    return f"on {listed([task.name for task in comparison.tasks], 'tasks')}"


def across(comparison: Comparison) -> str:
    """Returns what numbers of all runs of the shared tasks are over."""
    names = [task.name for task in comparison.shared_tasks]
    return f"across {listed(names, 'tasks')}" if len(names) > 1 else f"on {names[0]}"


def left_out(panels: Mapping[str, str]) -> str:
    """Returns a sentence on the panels whose values lie in a range that shows nothing."""
    said = "; ".join(f"{name} ({values})" for name, values in panels.items() if values)
    return f" Not drawn, as all of it is alike: {said}." if said else ""


def improvement(comparison: Comparison) -> str:
    """Returns what the probability of improvement is."""
    is_one = len(comparison.shared_tasks) == 1
    where = across(comparison) if is_one else "on a task drawn at random"
    return (
        "The chance that a run of the core of the row scores above a run of the core of the "
        f"column {where}; a tie counts half. It says how often, not by how much: 0.5 is no "
        "difference."
    )
