"""Settings that contradict themselves or each other are refused, with what was given."""

import re

import pytest

from agents.impala.config import config_from_values

NAN = float("nan")
REFUSED = [
    (
        {"learner": {"batch_size": 6, "num_minibatches": 4}},
        "learner.batch_size (6) must be a multiple of learner.num_minibatches (4)",
    ),
    ({"learner": {"c_bar": 1.5}}, "need 0 < learner.c_bar <= learner.rho_bar, got 1.5 and 1.0"),
    ({"learner": {"c_bar": 0.0}}, "need 0 < learner.c_bar <= learner.rho_bar, got 0.0 and 1.0"),
    ({"learner": {"vtrace_lambda": 1.1}}, "learner.vtrace_lambda must be in [0, 1], got 1.1"),
    ({"learner": {"discount": NAN}}, "learner.discount must be in [0, 1], got nan"),
    *(
        ({"learner": {"cooldown": share}}, f"learner.cooldown must be in (0, 1], got {share}")
        for share in (0.0, 1.01, NAN)
    ),
    *(
        (
            {"learner": {"desired_kl": kl, "num_passes": passes}},
            "learner.desired_kl must be > 0 or null, and needs learner.num_passes of 2 or more, "
            f"got {kl} with num_passes {passes}",
        )
        for kl, passes in ((0.0, 2), (NAN, 2), (0.01, 1))
    ),
    *(
        (
            {"learner": {"final_entropy_cost": cost}},
            f"learner.final_entropy_cost must be >= 0, got {cost}",
        )
        for cost in (-0.1, NAN)
    ),
    *(
        ({"policy": {"head_gain": gain}}, f"policy.head_gain must be > 0 or null, got {gain}")
        for gain in (0.0, -1.0, NAN)
    ),
    (
        {"learner": {"batch_size": 8}, "num_groups": 3},
        "learner.batch_size (8) must be a multiple of num_groups (3)",
    ),
    ({"mode": "async", "num_actors": 100_000}, "num_actors must be at most"),
    ({"num_actors": 2}, "num_actors and exact_lag are settings of mode async"),
    ({"exact_lag": 1}, "num_actors and exact_lag are settings of mode async"),
    (
        {"mode": "async", "exact_lag": 21},
        "exact_lag of 21 rollouts of 1 updates exceeds max_policy_lag, 20 updates",
    ),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_what_contradicts_itself_is_refused(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        config_from_values(values)


@pytest.mark.parametrize(
    "values",
    [
        {"learner": {"batch_size": 8, "num_minibatches": 4, "c_bar": 0.7, "rho_bar": 1.5}},
        {"learner": {"cooldown": 1.0, "desired_kl": 0.01, "num_passes": 2, "discount": 0.0}},
        {"learner": {"batch_size": 9}, "num_groups": 3},
        {"mode": "async", "num_actors": 2, "exact_lag": 20},
    ],
)
def test_what_is_at_the_bound_is_taken(values):
    config_from_values(values)
