"""Formal languages against membership by regular expressions and by rewriting."""

import re
from collections import Counter
from itertools import islice, product

import pytest
from scipy.stats import chisquare

from sequences.tasks import examples, find_task
from sequences.tasks.formal import LANGUAGES

FORMAL = find_task("formal")
SURE = 1e-4  # a test of right code fails with this chance, had it another seed


def is_balanced(word, pair):
    """Whether rewriting pairs away leaves nothing."""
    while pair in word:
        word = word.replace(pair, "")
    return word == ""


def is_shuffle(word):
    return all(
        is_balanced("".join(symbol for symbol in word if symbol in pair), pair)
        for pair in ("()", "[]")
    )


def is_reset_dyck(word):
    *dropped, last = word.split("1")
    viable = (
        all(part[:i].count("(") >= part[:i].count(")") for i in range(len(part) + 1))
        for part in dropped
    )
    return all(viable) and is_balanced(last, "()")


def is_counter(word, symbols):
    n = len(word) // len(symbols)
    return word == "".join(symbol * n for symbol in symbols)


MEMBER = {
    "parity": lambda w: re.fullmatch(r"(0*10*1)*0*", w) is not None,
    "aa": lambda w: re.fullmatch(r"(aa)*", w) is not None,
    "abab": lambda w: re.fullmatch(r"(abab)*", w) is not None,
    "dyck_1": lambda w: is_balanced(w, "()"),
    "counter_2": lambda w: is_counter(w, "ab"),
    "counter_3": lambda w: is_counter(w, "abc"),
    "shuffle_2": is_shuffle,
    "reset_dyck_1": is_reset_dyck,
}
REGULAR = ("parity", "aa", "abab")


def completions(name, prefix, longest):
    """Yields members that begin with a prefix and are at most `longest` symbols longer."""
    symbols = LANGUAGES[name].symbols
    for size in range(longest + 1):
        for rest in product(symbols, repeat=size):
            if MEMBER[name](prefix + "".join(rest)):
                yield prefix + "".join(rest)


def may_follow(name, prefix):
    """Returns the symbols that follow a prefix in some member, by looking at all that are near."""
    need = 2 * (prefix.count("a") + 1) if name == "counter_3" else len(prefix) + 1
    return "".join(
        symbol
        for symbol in LANGUAGES[name].symbols
        if next(completions(name, prefix + symbol, need), None) is not None
    )


def draw(count, **settings):
    """Yields (word, answers at its symbols), as text."""
    task = FORMAL.make(FORMAL.settings(**settings))
    for example in islice(examples(task, "train", seed=1), count):
        word = "".join(task.tokens[token] for token in example.tokens)
        yield word, [task.answers[answer] for answer in example.answers]


@pytest.mark.parametrize("name", LANGUAGES)
def test_every_string_is_a_member_and_lengths_are_uniform(name):
    lengths = Counter()
    for word, _ in draw(2_000, language=name, min_length=2, max_length=50):
        assert MEMBER[name](word)
        lengths[len(word)] += 1
    every = LANGUAGES[name].multiple
    assert sorted(lengths) == [n for n in range(2, 51) if n % every == 0]
    assert chisquare(list(lengths.values())).pvalue > SURE


@pytest.mark.parametrize("name", REGULAR)
def test_regular_languages_ask_for_membership_of_the_prefix(name):
    for word, answers in draw(200, language=name):
        assert answers == ["yes" if MEMBER[name](word[: i + 1]) else "no" for i in range(len(word))]


@pytest.mark.parametrize("name", [name for name in LANGUAGES if name not in REGULAR])
def test_the_others_ask_for_what_may_follow(name):
    """Against a search of all strings; what it finds for a prefix of few symbols is complete."""
    known = {}
    longest = 6 if name in ("counter_2", "counter_3", "dyck_1") else 5
    for word, answers in draw(200, language=name, min_length=1, max_length=longest):
        for i, answer in enumerate(answers):
            prefix = word[: i + 1]
            if prefix not in known:
                known[prefix] = may_follow(name, prefix) or "end"
            assert answer == known[prefix]
    assert len(known) > 3


def open_brackets(word, pair):
    """Brackets left open once the pairs are rewritten away, other symbols aside."""
    word = "".join(symbol for symbol in word if symbol in pair)
    while pair in word:
        word = word.replace(pair, "")
    assert pair[1] not in word
    return len(word)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("dyck_1", lambda w: "()" if open_brackets(w, "()") else "("),
        ("reset_dyck_1", lambda w: "()1" if open_brackets(w.rpartition("1")[2], "()") else "(1"),
        (
            "shuffle_2",
            lambda w: (
                "()"[: 1 + bool(open_brackets(w, "()"))] + "[]"[: 1 + bool(open_brackets(w, "[]"))]
            ),
        ),
        (
            "counter_2",
            lambda w: "ab" if "b" not in w else "b" if w.count("a") > w.count("b") else "end",
        ),
        (
            "counter_3",
            lambda w: (
                "ab"
                if "b" not in w
                else "b"
                if w.count("a") > w.count("b")
                else "c"
                if w.count("b") > w.count("c")
                else "end"
            ),
        ),
    ],
)
def test_long_strings_are_answered_by_what_is_open(name, expected):
    for word, answers in draw(30, language=name, min_length=51, max_length=100):
        assert len(word) > 50
        assert answers == [expected(word[: i + 1]) for i in range(len(word))]


@pytest.mark.parametrize(
    ("name", "length", "number"), [("parity", 5, 16), ("dyck_1", 8, 14), ("shuffle_2", 4, 10)]
)
def test_members_of_a_length_are_equally_likely(name, length, number):
    drawn = draw(5_000, language=name, min_length=length, max_length=length)
    counts = Counter(word for word, _ in drawn)
    assert len(counts) == number
    assert chisquare(list(counts.values())).pvalue > SURE


def test_a_reset_may_stand_anywhere_and_leaves_brackets_open():
    words = [word for word, _ in draw(2_000, language="reset_dyck_1", min_length=9, max_length=9)]
    assert all(word.count("1") == 1 for word in words)
    places = Counter(word.index("1") for word in words)
    assert sorted(places) == [0, 2, 4, 6, 8]
    assert chisquare(list(places.values())).pvalue > SURE
    assert any(open_brackets(word.partition("1")[0], "()") >= 3 for word in words)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"language": "aab"}, "language must be one of parity, aa, .*got 'aab'"),
        ({"min_length": 0}, "need 1 <= min_length <= max_length <= 10000, got 0 and 50"),
        (
            {"language": "abab", "min_length": 1, "max_length": 3},
            "no string of abab has 1 to 3 symbols; lengths are multiples of 4",
        ),
    ],
)
def test_impossible_settings_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        FORMAL.make(FORMAL.settings(**settings))
