"""ListOps: every tree has the depth asked for, in the proportions of the branching process."""

from collections import Counter
from itertools import islice, product

import numpy as np
import pytest
from scipy.stats import chi2_contingency, chisquare

from sequences.tasks import NO_ANSWER, examples, find_task

LISTOPS = find_task("listops")
SURE = 1e-4  # a test of right code fails with this chance, had it another seed


def draw(count, **settings):
    """Returns examples as (tokens as text, answer as text)."""
    task = LISTOPS.make(LISTOPS.settings(**settings))
    drawn = []
    for example in islice(examples(task, "train", seed=1), count):
        assert (example.answers[:-1] == NO_ANSWER).all()
        answer = task.answers[example.answers[-1]]
        drawn.append(([task.tokens[token] for token in example.tokens], answer))
    return drawn


def parse(tokens):
    """Returns nested lists: [operator, argument, ...]; a digit is an int."""
    stack = [[]]
    for token in tokens:
        if token.startswith("["):
            stack.append([token[1:]])
        elif token == "]":
            inner = stack.pop()
            stack[-1].append(inner)
        else:
            stack[-1].append(int(token))
    assert len(stack) == 1
    assert len(stack[0]) == 1
    return stack[0][0]


def depth(tree):
    return 0 if isinstance(tree, int) else 1 + max(map(depth, tree[1:]))


def value(tree):
    if isinstance(tree, int):
        return tree
    arguments = [value(argument) for argument in tree[1:]]
    return {"MIN": min(arguments), "MAX": max(arguments), "FIRST": arguments[0]}[tree[0]]


def shape(tree):
    return "d" if isinstance(tree, int) else tuple(shape(argument) for argument in tree[1:])


def lists(tree):
    return [] if isinstance(tree, int) else [tree, *(x for sub in tree[1:] for x in lists(sub))]


def leaves(tree):
    return [tree] if isinstance(tree, int) else [x for sub in tree[1:] for x in leaves(sub)]


def shapes(max_depth, max_arguments, p):
    """Returns the chance of every argument's shape up to a depth, by the process's definition."""
    chances = {"d": p}
    for _ in range(max_depth):
        grown = {"d": p}
        for n in range(2, max_arguments + 1):
            for arguments in product(chances, repeat=n):
                part = np.prod([chances[argument] for argument in arguments])
                grown[arguments] = (1 - p) / (max_arguments - 1) * part
        chances = grown
    return chances


def rejection(rng, generator_depth, count, p=0.75, max_arguments=5):
    """Returns trees of the public generator that have a depth, which counts values as one more."""

    def tree(level):
        if level > 1 and (level >= 20 or rng.random() > 1 - p):
            return int(rng.integers(10))
        operator = ("MIN", "MAX", "FIRST")[rng.integers(3)]
        return [operator, *(tree(level + 1) for _ in range(rng.integers(2, max_arguments + 1)))]

    kept = []
    while len(kept) < count:
        drawn = tree(1)
        if depth(drawn) + 1 == generator_depth:
            kept.append(drawn)
    return kept


def same_distribution(ours, theirs):
    """Returns the p-value that two samples of categories are of one distribution."""
    counts = [Counter(ours), Counter(theirs)]
    common = [key for key in counts[0] | counts[1] if sum(c[key] for c in counts) >= 20]
    table = [
        [c[key] for key in common] + [len(s) - sum(c[key] for key in common)]
        for c, s in zip(counts, (ours, theirs), strict=True)
    ]
    table = np.array(table)
    return chi2_contingency(table[:, table.sum(0) > 0]).pvalue


def test_chances_too_small_for_a_float_are_no_fault():
    """0.0005 to the power of 99, the chance of a hundred digits but one, is 0 in float64."""
    sizes = {len(t) for t, _ in draw(100, depth=1, max_arguments=100, value_probability=5e-4)}
    assert sizes == {4}  # of two arguments


@pytest.mark.parametrize("depth_wanted", [1, 2, 10, 15])
def test_depth_is_exact_and_the_answer_is_the_value(depth_wanted):
    for tokens, answer in draw(300, depth=depth_wanted):
        tree = parse(tokens)
        assert depth(tree) == depth_wanted
        assert answer == str(value(tree))


@pytest.mark.parametrize(
    ("depth_wanted", "max_arguments", "p"), [(1, 5, 0.75), (2, 3, 0.75), (3, 2, 0.6)]
)
def test_shapes_have_the_chances_of_the_process_given_their_depth(depth_wanted, max_arguments, p):
    drawn = draw(10_000, depth=depth_wanted, max_arguments=max_arguments, value_probability=p)
    counts = Counter(shape(parse(tokens)) for tokens, _ in drawn)
    every = shapes(depth_wanted, max_arguments, p)

    def height(s):
        return 0 if s == "d" else 1 + max(map(height, s))

    chances = {s: chance for s, chance in every.items() if height(s) == depth_wanted}
    assert set(counts) <= set(chances)
    total = sum(chances.values())
    likely = [s for s in chances if 10_000 * chances[s] / total >= 5]
    expected = np.array([10_000 * chances[s] / total for s in likely])
    observed = np.array([counts[s] for s in likely])
    rest = 10_000 - expected.sum()
    if rest > 1e-6:
        expected, observed = np.append(expected, rest), np.append(observed, 10_000 - observed.sum())
    assert chisquare(observed, expected).pvalue > SURE


def test_conditioned_drawing_agrees_with_rejection():
    theirs = rejection(np.random.default_rng(0), 4, 3_000)
    ours = [parse(tokens) for tokens, _ in draw(3_000, depth=3)]
    for statistic in (
        lambda tree: len(tree) - 1,  # the root's arguments
        lambda tree: len(lists(tree)),
        lambda tree: len(leaves(tree)),
        lambda tree: value(tree),
        lambda tree: [depth(argument) for argument in tree[1:]].index(2),  # who is deepest first
        lambda tree: sum(depth(argument) == 2 for argument in tree[1:]),
    ):
        pvalue = same_distribution([statistic(t) for t in ours], [statistic(t) for t in theirs])
        assert pvalue > SURE


def test_operators_digits_and_the_root_are_uniform_where_they_should_be():
    trees = [parse(tokens) for tokens, _ in draw(10_000, depth=4)]
    operators = Counter(node[0] for tree in trees for node in lists(tree))
    digits = Counter(leaf for tree in trees for leaf in leaves(tree))
    assert chisquare(list(operators.values())).pvalue > SURE
    assert len(operators) == 3
    assert chisquare(list(digits.values())).pvalue > SURE
    assert len(digits) == 10
    assert {len(node) - 1 for tree in trees for node in lists(tree)} == {2, 3, 4, 5}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"depth": 0}, "depth must be in 1 to 64, got 0"),
        ({"max_arguments": 1}, "max_arguments must be in 2 to 100, got 1"),
        ({"value_probability": 1.5}, r"value_probability must be in \[0, 1\], got 1.5"),
        ({"value_probability": 1.0}, "a tree of depth 10 cannot be drawn with value_probability 1"),
        ({"value_probability": 0.0}, "a tree of depth 10 cannot be drawn with value_probability 0"),
    ],
)
def test_a_depth_that_cannot_be_drawn_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        LISTOPS.make(LISTOPS.settings(**settings))


def test_trees_of_one_list_need_no_other():
    assert {depth(parse(tokens)) for tokens, _ in draw(20, depth=1, value_probability=1.0)} == {1}
