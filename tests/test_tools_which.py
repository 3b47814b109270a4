"""README's line for a need: cores by their means, with their spread, equals together."""

from tools.pages.which import ranked


def test_five_seeds_have_half_a_t_interval_and_fewer_their_worst_and_best():
    scores = {
        "rdn": [0.7, 0.8, 0.9, 1.0, 1.1],
        "lstm": [1.0, 1.0, 1.0],
        "gru": [],
        "delta_net": [0.2, 0.4],
    }
    # Half a 95 % interval of five values: 2.776 standard errors of 0.158 / sqrt(5)
    assert ranked(scores, digits=2) == (
        "`lstm` 1.00; `rdn` 0.90 ± 0.20; `delta_net` 0.30 (0.20 to 0.40)"
    )


def test_cores_that_read_the_same_stand_together():
    scores = {"rdn": [1.0, 1.0], "lstm": [1.0, 1.0001], "gru": [1.0, 1.0], "lru": [0.5, 0.5]}
    assert ranked(scores, digits=2) == "`lstm`, `rdn` and `gru` 1.00; `lru` 0.50"
