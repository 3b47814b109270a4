"""Bounds of settings: what is refused, in which words."""

import math
from types import SimpleNamespace

import pytest

from experiment.bounds import refuse_below, refuse_not_positive


@pytest.mark.parametrize("value", [0, -1, 0.5, math.nan])
def test_what_is_below_the_least_is_refused_by_its_full_name(value):
    settings = SimpleNamespace(rounds=value, late=1)
    with pytest.raises(ValueError, match=rf"^learner\.rounds must be >= 1, got {value}$"):
        refuse_below(settings, 1, "late", "rounds", group="learner.")


@pytest.mark.parametrize("value", [0, -1e-9, math.nan])
def test_what_is_not_above_0_is_refused(value):
    with pytest.raises(ValueError, match=rf"^rate must be > 0, got {value}$"):
        refuse_not_positive(SimpleNamespace(rate=value), "rate")


def test_the_least_and_null_are_taken():
    settings = SimpleNamespace(least=1, null=None, small=1e-9)
    refuse_below(settings, 1, "least", "null")
    refuse_not_positive(settings, "null", "small")
