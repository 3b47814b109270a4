"""Sequential ListOps: nested MIN, MAX and FIRST of digits; the value is asked at the last token.

    [MAX 2 [MIN 4 7 ] [FIRST 3 9 1 ] ]   ->   4

An argument is a digit with probability `value_probability`, else a list. The public generator
draws trees until one has the depth that is wanted, which is slow where few have. Here a tree is
drawn given its depth, from the same distribution: F(h), the chance that an argument is at most h
lists deep, decides how many arguments a list has and which of them reaches its full depth.

Source: the 2021 code, `algorithmic/utils/nyu_listops.py` of
https://github.com/IDSIA/recurrent-fwp, after Nangia and Bowman 2018
(https://arxiv.org/abs/1804.06028). Its generator makes only digits at its own depth of 20, so
trees 19 lists deep differ; below, they are as here.
"""

from bisect import bisect
from dataclasses import dataclass
from itertools import accumulate

import numpy as np

from sequences.tasks.base import NO_ANSWER, Example, Task, TaskSpec, from_seed, uniforms

DIGITS = tuple("0123456789")
OPERATORS = ("[MIN", "[MAX", "[FIRST")
TOKENS = (*DIGITS, *OPERATORS, "]")
END = TOKENS.index("]")
EVALUATE = (min, max, lambda arguments: arguments[0])
MAX_DEPTH = 64
MAX_ARGUMENTS = 100


@dataclass(frozen=True, kw_only=True)
class ListOpsSettings:
    """Size of the trees.

    Args:
        depth: lists within lists on the longest branch, the root included, exactly; 1 to 64. The
            paper has 10 and 15.
        max_arguments: arguments of a list are 2 to this, uniformly.
        value_probability: chance that an argument below the root is a digit and not a list.
    """

    depth: int = 10
    max_arguments: int = 5
    value_probability: float = 0.75

    def __post_init__(self) -> None:
        if not 1 <= self.depth <= MAX_DEPTH:
            raise ValueError(f"depth must be in 1 to {MAX_DEPTH}, got {self.depth}")
        if not 2 <= self.max_arguments <= MAX_ARGUMENTS:
            raise ValueError(
                f"max_arguments must be in 2 to {MAX_ARGUMENTS}, got {self.max_arguments}"
            )
        if not 0 <= self.value_probability <= 1:
            raise ValueError(f"value_probability must be in [0, 1], got {self.value_probability}")


class TreeChances:
    """Chances of heights; a digit has height 0, a list one more than its highest argument.

    Raises:
        ValueError: no tree has the depth, or so few that their chance is not a float64.
    """

    def __init__(self, settings: ListOpsSettings) -> None:
        p = settings.value_probability
        self.counts = range(2, settings.max_arguments + 1)
        self.at_most = [p]
        """F(h): chance that an argument has height h or less."""
        self.exactly = [p]
        """Chance that an argument has height h."""
        for h in range(1, settings.depth + 1):
            self.at_most.append(p + (1 - p) * sum(self._low_weights(h)) / len(self.counts))
            self.exactly.append((1 - p) * sum(self._full_weights(h)) / len(self.counts))
        if not sum(self._full_weights(settings.depth)) > 0:
            raise ValueError(
                f"a tree of depth {settings.depth} cannot be drawn with value_probability {p}: "
                "it has no chance"
            )
        self.low_counts = [list(accumulate(self._low_weights(h))) for h in self._heights()]
        self.full_counts = [list(accumulate(self._full_weights(h))) for h in self._heights()]
        self.first_is_full = [
            [1 / self._one_of(n, h, unit=self.at_most[h]) for n in range(1, self.counts[-1] + 1)]
            for h in range(settings.depth)
        ]
        """[height][n - 1]: chance that the first of n arguments has that height, given that one
        does and none is higher."""

    def _heights(self) -> range:
        return range(1, len(self.at_most))

    def _low_weights(self, h: int) -> list[float]:
        """For each number of arguments: the chance that a list of so many has height <= h."""
        return [self.at_most[h - 1] ** n for n in self.counts]

    def _full_weights(self, h: int) -> list[float]:
        """For each number of arguments: the chance that a list of so many has height h."""
        return [self.exactly[h - 1] * self._one_of(n, h - 1) for n in self.counts]

    def _one_of(self, n: int, h: int, unit: float = 1.0) -> float:
        """(F(h)^n - F(h-1)^n) / (F(h) - F(h-1)) / unit^(n-1), without the differences."""
        high, low = self.at_most[h] / unit, (self.at_most[h - 1] if h else 0.0) / unit
        return sum(high**i * low ** (n - 1 - i) for i in range(n))


class TreeDraw:
    """Draws one tree into `tokens`, evaluating it on the way."""

    def __init__(self, chances: TreeChances, p: float, rng: np.random.Generator) -> None:
        self.tokens: list[int] = []
        self._chances = chances
        self._p = p
        self._uniforms = uniforms(rng)

    def full_list(self, h: int) -> int:
        """Draws a list of height h; returns its value."""
        operator, n = self._begin(self._chances.full_counts[h - 1])
        arguments = []
        is_full = False  # whether an argument has reached height h - 1
        for left in range(n, 0, -1):
            if is_full:
                arguments.append(self._low_argument(h - 1))
            elif next(self._uniforms) < self._chances.first_is_full[h - 1][left - 1]:
                is_full = True
                arguments.append(self.full_list(h - 1) if h > 1 else self._digit())
            else:
                arguments.append(self._low_argument(h - 2))
        return self._end(operator, arguments)

    def _low_argument(self, h: int) -> int:
        """Draws an argument of height h or less; returns its value."""
        if next(self._uniforms) * self._chances.at_most[h] < self._p:
            return self._digit()
        operator, n = self._begin(self._chances.low_counts[h - 1])
        return self._end(operator, [self._low_argument(h - 1) for _ in range(n)])

    def _begin(self, cumulative: list[float]) -> tuple[int, int]:
        """Opens a list; returns its operator and its number of arguments."""
        operator = int(next(self._uniforms) * len(OPERATORS))
        self.tokens.append(len(DIGITS) + operator)
        chosen = bisect(cumulative, next(self._uniforms) * cumulative[-1])
        return operator, self._chances.counts[chosen]

    def _end(self, operator: int, arguments: list[int]) -> int:
        self.tokens.append(END)
        return EVALUATE[operator](arguments)

    def _digit(self) -> int:
        digit = int(next(self._uniforms) * len(DIGITS))
        self.tokens.append(digit)
        return digit


def make(settings: ListOpsSettings) -> Task:
    """Returns the task.

    Raises:
        ValueError: no tree of this depth can be drawn.
    """
    chances = TreeChances(settings)

    def draw(rng: np.random.Generator) -> Example:
        tree = TreeDraw(chances, settings.value_probability, rng)
        value = tree.full_list(settings.depth)
        answers = np.full(len(tree.tokens), NO_ANSWER)
        answers[-1] = value
        return Example(np.array(tree.tokens), answers)

    return Task(tokens=TOKENS, answers=DIGITS, example=from_seed(draw))


TASK = TaskSpec(
    name="listops",
    settings=ListOpsSettings,
    make=make,
    measures=("accuracy", "nats_per_answer"),  # there is one answer a sequence
    scale=(0.18, 1.0),  # always 9: right for 18.4 % of 4,000 lists ten deep, 18.8 % of fifteen deep
    size="depth",
)
