"""Formal languages: at every symbol, is the string so far a member, or what may follow it?

The first three are regular and ask for membership, the others for the set of symbols that may come
next. A core that keeps count as the language does answers strings longer than it was trained on:
train on `max_length: 50`, evaluate beyond.

Source: the eight languages of Irie, Csordas and Schmidhuber 2023
(https://github.com/IDSIA/fwp-formal-lang), after Bhattamishra, Ahuja and Goyal 2020
(https://arxiv.org/abs/2009.11264), whose code encodes the answers as here. Their strings come from
grammars cut at a length; here a length is drawn uniformly and then a string of that length,
uniformly among the members (of reset Dyck-1: see `_reset_dyck`).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from sequences.tasks.base import Example, Task, TaskSpec, from_seed

Symbols = NDArray[np.int64]
MEMBERSHIP = ("no", "yes")
MAX_LENGTH = 10_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Language:
    """One language.

    Args:
        symbols: its alphabet, a character a symbol.
        answers: membership, or the sets of symbols that may follow.
        multiple: the lengths of its strings are the positive multiples of this.
        draw: (rng, length) -> a member of that length.
        label: a string -> the answer at each of its symbols.
    """

    symbols: str
    answers: tuple[str, ...]
    multiple: int
    draw: Callable[[np.random.Generator, int], Symbols]
    label: Callable[[Symbols], Symbols]


def _even_parity(rng: np.random.Generator, length: int) -> Symbols:
    bits = rng.integers(2, size=length)
    bits[-1] = bits[:-1].sum() % 2
    return bits


def _repeat(pattern: list[int], whole: int) -> Language:
    """The repetitions of a pattern; a prefix is a member at each multiple of `whole`."""
    return Language(
        symbols="ab"[: len(pattern)],
        answers=MEMBERSHIP,
        multiple=whole,
        draw=lambda rng, length: np.resize(np.array(pattern), length),
        label=lambda word: (np.arange(1, len(word) + 1) % whole == 0).astype(np.int64),
    )


def _counter(size: int) -> Language:
    """a^n b^n, or a^n b^n c^n: after an a, a or b may follow; from then on one symbol may."""

    def label(word: Symbols) -> Symbols:
        return np.where(word == 0, 0, np.append(word[1:], size))

    symbols = "abc"[:size]
    return Language(
        symbols=symbols,
        answers=("ab", *symbols[1:], "end"),
        multiple=size,
        draw=lambda rng, length: np.repeat(np.arange(size), length // size),
        label=label,
    )


def _dyck(rng: np.random.Generator, length: int) -> Symbols:
    """A balanced string of ( = 0 and ) = 1, uniformly among those of an even length.

    At depth d with r symbols left, (r - d)(d + 2) of 2 r (d + 1) completions open a bracket.
    Source: the ballot numbers, as in Arnold and Sleep 1980 (https://doi.org/10.1145/357084.357091).
    """
    word = np.empty(length, np.int64)
    depth = 0
    for position, chance in enumerate(rng.random(length)):
        left = length - position
        opens = chance * 2 * left * (depth + 1) < (left - depth) * (depth + 2)
        word[position] = 0 if opens else 1
        depth += 1 if opens else -1
    return word


def _depth(word: Symbols, opening: int = 0) -> Symbols:
    """Brackets of one kind, `opening` and the symbol after it, that are open at each symbol."""
    change = (word == opening).astype(np.int64) - (word == opening + 1)
    depth: Symbols = change.cumsum()
    return depth


def _shuffle(rng: np.random.Generator, length: int) -> Symbols:
    """An interleaving of a Dyck word in () and one in [], uniformly among all of a length."""
    k = int(rng.choice(length // 2 + 1, p=_shares_of_round(length)))
    word = np.empty(length, np.int64)
    is_round = np.zeros(length, np.bool_)
    is_round[rng.permutation(length)[: 2 * k]] = True
    word[is_round] = _dyck(rng, 2 * k)
    word[~is_round] = 2 + _dyck(rng, length - 2 * k)
    return word


@cache
def _shares_of_round(length: int) -> list[float]:
    """Returns the share of the shuffles of a length that have k pairs of (), for every k."""
    pairs = length // 2
    ways = [math.comb(length, 2 * k) * _catalan(k) * _catalan(pairs - k) for k in range(pairs + 1)]
    total = sum(ways)
    return [way / total for way in ways]


def _catalan(n: int) -> int:
    """Returns the number of Dyck words with n pairs."""
    return math.comb(2 * n, n) // (n + 1)


def _reset_dyck(rng: np.random.Generator, length: int) -> Symbols:
    """A prefix of a Dyck word, the reset 2 and a Dyck word.

    In the language, what stands between resets is a prefix of a Dyck word, and what stands after
    the last is one; so a bracket may close only where one is open since the last reset.

    The place of the reset is uniform among those that leave an even rest; the prefix is the first
    half of a uniform Dyck word of twice its length.
    """
    rest = 2 * int(rng.integers((length - 1) // 2 + 1))
    before = length - 1 - rest
    prefix = _dyck(rng, 2 * before)[:before]
    return np.concatenate([prefix, [2], _dyck(rng, rest)])


def _label_reset_dyck(word: Symbols) -> Symbols:
    depth = _depth(word)
    at_reset = np.zeros_like(depth)
    for position in np.flatnonzero(word == 2):
        at_reset[position:] = depth[position]
    return (depth > at_reset).astype(np.int64)


LANGUAGES: dict[str, Language] = {
    "parity": Language(
        symbols="01",
        answers=MEMBERSHIP,
        multiple=1,
        draw=_even_parity,
        label=lambda word: 1 - word.cumsum() % 2,
    ),
    "aa": _repeat([0], whole=2),
    "abab": _repeat([0, 1], whole=4),
    "dyck_1": Language(
        symbols="()",
        answers=("(", "()"),
        multiple=2,
        draw=_dyck,
        label=lambda word: (_depth(word) > 0).astype(np.int64),
    ),
    "counter_2": _counter(2),
    "counter_3": _counter(3),
    "shuffle_2": Language(
        symbols="()[]",
        answers=("([", "()[", "([]", "()[]"),
        multiple=2,
        draw=_shuffle,
        label=lambda word: (_depth(word) > 0) + 2 * (_depth(word, opening=2) > 0),
    ),
    "reset_dyck_1": Language(
        symbols="()1",
        answers=("(1", "()1"),
        multiple=1,
        draw=_reset_dyck,
        label=_label_reset_dyck,
    ),
}


@dataclass(frozen=True, kw_only=True)
class FormalSettings:
    """Which language, and how long its strings are.

    Args:
        language: parity, aa, abab, dyck_1, counter_2, counter_3, shuffle_2 or reset_dyck_1.
        min_length: symbols of the shortest string, >= 1.
        max_length: symbols of the longest string.
    """

    language: str = "parity"
    min_length: int = 2
    max_length: int = 50

    def __post_init__(self) -> None:
        if self.language not in LANGUAGES:
            raise ValueError(
                f"language must be one of {', '.join(LANGUAGES)}, got {self.language!r}"
            )
        if not 1 <= self.min_length <= self.max_length <= MAX_LENGTH:
            raise ValueError(
                f"need 1 <= min_length <= max_length <= {MAX_LENGTH}, "
                f"got {self.min_length} and {self.max_length}"
            )


def make(settings: FormalSettings) -> Task:
    """Returns the task.

    Raises:
        ValueError: no string of the language has such a length.
    """
    language = LANGUAGES[settings.language]
    every = language.multiple
    shortest, longest = -(-settings.min_length // every), settings.max_length // every
    if shortest > longest:
        raise ValueError(
            f"no string of {settings.language} has {settings.min_length} to "
            f"{settings.max_length} symbols; lengths are multiples of {every}"
        )

    def draw(rng: np.random.Generator) -> Example:
        word = language.draw(rng, every * int(rng.integers(shortest, longest + 1)))
        return Example(word, language.label(word))

    return Task(tokens=tuple(language.symbols), answers=language.answers, example=from_seed(draw))


TASK = TaskSpec(name="formal", settings=FormalSettings, make=make, size="max_length")
