"""The answer of a comparison: which core is best on each task, or why that cannot be told."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from comparison.grouping import Task
from comparison.page_text import MAX_NAMES, listed
from comparison.report_table import number
from comparison.statistics import MIN_RUNS, Estimate, mean_of_runs

AT_CHANCE = 0.05  # of the way from floor to ceiling; what scores less has learnt next to nothing


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What one task says of the cores that were scored on it.

    A core is clearly above another where its interval lies wholly above the other's. Where seeds
    are too few for an interval nothing is clear.

    Args:
        task: the task.
    """

    task: Task

    @cached_property
    def scores(self) -> dict[str, Estimate]:
        """Mean score of every core, with its interval."""
        return {core: mean_of_runs(self.task.normalised(core)) for core in self.task.scored}

    @cached_property
    def best(self) -> list[str]:
        """Cores with the best mean, as far as it is shown."""
        means = {core: float(self.task.measured(core).mean()) for core in self.scores}
        best = number((min if self.task.less_is_better else max)(means.values()))
        return [core for core, value in means.items() if number(value) == best]

    @cached_property
    def beaten(self) -> list[str]:
        """Cores that another is clearly above."""
        known = [of.interval for of in self.scores.values() if of.interval]
        return [
            core
            for core, of in self.scores.items()
            if core not in self.best
            and of.interval
            and any(low > of.interval[1] for low, _ in known)
        ]

    @cached_property
    def unclear(self) -> list[str]:
        """Cores that cannot be told from the best."""
        return [core for core in self.scores if core not in (*self.best, *self.beaten)]

    @property
    def is_alone(self) -> bool:
        """Whether there is nothing to compare."""
        return len(self.scores) == 1

    @property
    def is_at_chance(self) -> bool:
        """Whether no core is clearly above the floor."""
        return self.task.scale is not None and all(
            of.value <= AT_CHANCE or (of.interval is not None and of.interval[0] <= 0)
            for of in self.scores.values()
        )

    @property
    def has_few_seeds(self) -> bool:
        """Whether one of those that may be best has too few seeds to tell."""
        return min(self._numbers_of_seeds) < MIN_RUNS

    @property
    def is_clear(self) -> bool:
        """Whether one core is best, and clearly so."""
        return len(self.best) == 1 and not self.unclear and not self.is_at_chance

    @property
    def seeds(self) -> str:
        """How many seeds those that may be best have."""
        low, high = min(self._numbers_of_seeds), max(self._numbers_of_seeds)
        return f"{low} seed{'s' if high > 1 else ''}" if low == high else f"{low} to {high} seeds"

    @property
    def floor(self) -> str:
        """What scores 0."""
        return self.task.kind.ends(self.task.task)[0]

    @property
    def words(self) -> str:
        """The verdict in a few words."""
        if self.is_alone:
            return "one core only"
        if self.is_at_chance:
            return f"none above {self.floor}"
        if self.is_clear:
            return self.best[0]
        if self.has_few_seeds:
            return f"cannot tell: {self.seeds}"
        if self.unclear:
            return "cannot tell: intervals overlap"
        both = " and ".join(self.best)
        return f"a tie: {both if len(self.best) == 2 else f'{len(self.best)} cores'}"

    @property
    def _numbers_of_seeds(self) -> list[int]:
        return [len(self.task.scored[core]) for core in (*self.best, *self.unclear)]


def verdicts(tasks: Sequence[Task]) -> list[Verdict]:
    """Returns the verdict of every task on which a core was scored."""
    return [Verdict(task=task) for task in tasks if task.scored]


def answer(tasks: Sequence[Task]) -> str:
    """Returns the answer in one sentence."""
    found = verdicts(tasks)
    held = [of for of in found if not of.is_alone]
    if not held:
        (core,) = {core for of in found for core in of.scores}
        return f"Only {core} was scored: there is nothing to compare it with."
    return _on_one_task(held[0]) if len(held) == 1 else _on_tasks(held)


def _on_one_task(of: Verdict) -> str:
    name, able = of.task.name, listed([*of.best, *of.unclear], "cores")
    if of.is_at_chance:
        return f"On {name}, no core is clearly above {of.floor}: none can be called the better one."
    if of.is_clear:
        first, second = of.best[0], max(of.beaten, key=lambda core: of.scores[core].value)
        a, b = (number(of.task.measured(core).mean()) for core in (first, second))
        return f"On {name}, {first} is clearly best, at {a}; next is {second}, at {b}."
    if of.has_few_seeds:
        return (
            f"On {name}, it cannot be told which core is best: with {of.seeds} the order of the "
            f"means may be chance, and {MIN_RUNS} are the least that could tell."
        )
    if of.unclear:
        return f"On {name}, it cannot be told which core is best: {able} are too close."
    value = number(of.task.measured(of.best[0]).mean())
    return f"On {name}, {able} tie at {value}: this task does not tell them apart."


def _on_tasks(held: list[Verdict]) -> str:
    where = f"the {len(held)} tasks"
    if all(of.is_at_chance for of in held):
        floors = " and ".join(dict.fromkeys(of.floor for of in held))
        return f"On none of {where} is any core clearly above {floors}: none can be called better."
    if not any(of.beaten for of in held):
        why = "seeds are too few" if all(of.has_few_seeds for of in held) else "they are too close"
        return f"On none of {where} can it be told which core is best: {why}."
    few = [of.task.name for of in held if of.has_few_seeds and not of.beaten]
    tail = f"; on {listed(few, 'tasks')} seeds are too few to tell" if few else ""
    return _never_beaten(held, where) + tail + "."


def _never_beaten(held: list[Verdict], where: str) -> str:
    cores = dict.fromkeys(core for of in held for core in of.scores)
    never = [core for core in cores if not any(core in of.beaten for of in held)]
    if len(never) == 1:
        ran = sum(never[0] in of.scores for of in held)
        its = where if ran == len(held) else f"the {ran} task{'s' * (ran > 1)} that it ran"
        return f"{never[0]} is the only core that is never clearly beaten on {its}"
    if never:
        names = listed(never, "cores")
        return f"It cannot be told which core is best: {names} are never clearly beaten on {where}"
    wins = [f"{of.best[0]} on {of.task.name}" for of in held if of.is_clear]
    clear = f"; clearly best are {listed(wins, 'cores')}" if 0 < len(wins) <= MAX_NAMES else ""
    return f"No core is best on all of {where}: each is clearly beaten somewhere{clear}"
