"""README's line for a need: cores by their means, with intervals, equals together."""

from tools.pages.which import ranked


def test_cores_stand_by_their_mean_with_the_t_interval():
    scores = {"rdn": [0.8, 0.9, 1.0], "lstm": [1.0, 1.0, 1.0], "gru": [], "feedforward": [0.25]}
    # Half a 95 % interval of three values: 4.303 standard errors of 0.1 / sqrt(3)
    assert ranked(scores, digits=2) == "`lstm` 1.00; `rdn` 0.90 ± 0.25; `feedforward` 0.25"


def test_cores_that_read_the_same_stand_together():
    scores = {"rdn": [1.0, 1.0], "lstm": [1.0, 1.0001], "gru": [1.0, 1.0], "lru": [0.5, 0.5]}
    assert ranked(scores, digits=2) == "`lstm`, `rdn` and `gru` 1.00; `lru` 0.50"
