"""The structure of what was read: what is built otherwise is named by its place."""

import pytest
import torch

from experiment.structure import ANY, ListOf, check_like

LIKE = {
    "weights": {"a": torch.zeros(2, 3)},
    "count": 0,
    "seconds": 0.0,
    "recent": ListOf(0.0),
    "actors": [{"name": ""}],
    "settings": ANY,
}
GOOD = LIKE | {"recent": [1.0, 2.0], "settings": [1, "x"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"weights": {}}, "it.weights has no a"),
        ({"weights": {"a": torch.zeros(2, 3), "b": 1}}, "it.weights must not hold b"),
        (
            {"weights": {"a": torch.zeros(3, 2)}},
            r"it.weights.a must be torch.float32 \[2, 3\], got",
        ),
        ({"weights": {"a": torch.zeros(2, 3).long()}}, r"got torch.int64 \[2, 3\]"),
        ({"weights": None}, "it.weights must be values by name, got NoneType"),
        ({"count": True}, "it.count must be int, got bool"),
        ({"count": 2**60}, "it.count must be in 0 to "),
        ({"seconds": 1}, "it.seconds must be float, got int"),
        ({"recent": [1.0, "x"]}, r"it.recent\[1\] must be float, got str"),
        ({"recent": "text"}, "it.recent must be a list, got str"),
        ({"actors": []}, "it.actors must hold 1 values, got 0"),
        ({"actors": [{"name": 1}]}, r"it.actors\[0\].name must be str, got int"),
    ],
    ids=str,
)
def test_what_is_built_otherwise_is_named(changed, message):
    check_like(GOOD, LIKE, "it")
    with pytest.raises(ValueError, match=message):
        check_like(GOOD | changed, LIKE, "it")
