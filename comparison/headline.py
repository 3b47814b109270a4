"""The answer of a comparison in a few sentences: which core is ahead, and how sure that is."""

from collections.abc import Iterator

from comparison.numbers import Comparison
from comparison.statistics import Estimate, mean_of_runs
from comparison.tables import interval, number, probability


def headline(comparison: Comparison) -> str:
    """Returns the answer in a few sentences, with how sure it is.

    Where cores tie on the IQM, which leaves out a quarter of the runs at either end, all of them
    are named, and the mean is asked which of them is ahead. The core that leads is held against
    the best of all others by that measure, one of higher mean and lower IQM among them.
    """
    sentences: list[str] = []
    best = comparison.cores
    for where, estimates in _measures(comparison):
        ranked = sorted(estimates, key=lambda core: estimates[core].value, reverse=True)
        if len(ranked) == 1:
            return f"{ranked[0]}: {where} {interval(estimates[ranked[0]])}."
        tied = [core for core in ranked if core in best]
        highest = number(estimates[tied[0]].value)
        best = [core for core in tied if number(estimates[core].value) == highest]
        said = "; ".join(f"{core}, {interval(estimates[core])}" for core in best)
        sentences.append(f"{'Of these, highest' if sentences else 'Highest'} {where}: {said}.")
        if len(best) == 1:
            rival = next(core for core in ranked if core not in best)
            sentences.append(_lead(comparison, estimates, best[0], rival))
            break
    return " ".join(sentences)


def _measures(comparison: Comparison) -> Iterator[tuple[str, dict[str, Estimate]]]:
    """Yields what cores can be ranked by, the sturdiest first: its name, and every core's value."""
    if comparison.aggregates:
        for name in ("IQM", "mean"):
            where = f"{name} across {len(comparison.shared_tasks)} tasks"
            yield where, {core: of[name] for core, of in comparison.aggregates.items()}
        return
    task = max(comparison.shared_tasks or comparison.tasks, key=lambda task: len(task.scored))
    where = f"mean score on {task.name}" if task.scale else f"mean return on {task.name}"
    yield where, {core: mean_of_runs(task.normalised(core)) for core in task.scored}


def _lead(comparison: Comparison, estimates: dict[str, Estimate], best: str, second: str) -> str:
    """Returns a sentence on how far the best core is ahead of the next."""
    values = estimates[best].value, estimates[second].value
    is_higher = values[1] > values[0] and number(values[1]) != number(values[0])
    place = "Higher still, with a lower IQM" if is_higher else "Next"
    said = f"{place}: {second}, {interval(estimates[second])}."
    wins = probability(comparison, best, second)
    if wins is None:
        return said
    return f"{said} A run of {best} scores above one of {second} with probability {interval(wins)}."
