"""The lever benchmark: its figures by hand, its variants beside what is shipped, and tiny runs."""

import copy
import threading

import pytest
import torch

from agents.experiment.config_values import config_from_values
from benchmarks import levers
from benchmarks.lever_report import ONE_PASS, SHIPPED, Group, lever_cells, lever_rows
from benchmarks.lever_trunks import VARIANTS
from models.encoders import EncoderConfig, make_encoder

TINY = config_from_values(
    {
        "game": "Pong",
        "encoder": "small",
        "core": {"kind": "lstm", "lstm_size": 16},
        "learner": {
            "unroll_length": 3,
            "batch_size": 4,
            "num_passes": 2,
            "num_minibatches": 2,
            "optimizer": "adam",
        },
        "num_threads": 1,
    }
)


def test_rows_by_hand():
    whole = Group("whole", {SHIPPED: [4.0, 4.0, 4.0], "two groups": [2.0, 4.0, 8.0]})
    part = Group("encoder", {SHIPPED: [1.0, 1.0, 1.0], "in rows": [2.0, 2.0, 2.0]})
    other = Group(ONE_PASS, {SHIPPED: [3.0, 3.0], "kept": [2.0, 2.0]})
    groups, rows, kept = lever_rows([whole, part, other])
    assert groups["ratio"] == groups["whole"] == 1.0
    assert groups["quartiles"] == [0.75, 1.5]
    assert (rows["ratio"], rows["share"]) == (0.5, 0.25)
    assert rows["whole"] == pytest.approx(1 / (0.75 + 0.25 * 2))  # a quarter takes twice as long
    assert (kept["ratio"], kept["share"], kept["whole"]) == (1.5, None, None)
    assert lever_cells(kept) == ["kept", ONE_PASS, "1.50", "1.50 to 1.50", "", ""]


def test_ratios_are_of_the_same_turn():
    slow_moment = Group("whole", {SHIPPED: [1.0, 9.0, 1.0], "changed": [2.0, 18.0, 2.0]})
    assert lever_rows([slow_moment])[0]["quartiles"] == [0.5, 0.5]


@pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, trunks in VARIANTS.items() for name in trunks]
)
def test_a_variant_computes_the_shipped_network(kind, name):
    torch.manual_seed(0)
    config = EncoderConfig(kind=kind, precision="float32")
    shipped = make_encoder(config, (4, 84, 84), "uint8")
    variant = copy.deepcopy(shipped)
    variant.trunk.__class__ = VARIANTS[kind][name]
    pixels = torch.randint(0, 256, (3, 4, 84, 84), dtype=torch.uint8)
    want, got = shipped(pixels), variant(pixels)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)
    want.square().sum().backward()
    got.square().sum().backward()
    for a, b in zip(variant.parameters(), shipped.parameters(), strict=True):
        assert (a.grad - b.grad).norm() < 1e-4 * b.grad.norm()


LONG = ("precision", "threads", "impala-encoder")
UNCOMPILED = [
    pytest.param(name, marks=[pytest.mark.slow] if name in LONG else [])
    for name in levers.GROUPS
    if not name.startswith("compiled")
]


@pytest.mark.parametrize("name", UNCOMPILED)
def test_a_group_times_what_is_shipped_beside_its_levers(name, one_thread):
    num_threads = threading.active_count()
    part, seconds = levers.GROUPS[name](TINY, 2)
    assert SHIPPED in seconds
    assert len(seconds) >= 2
    assert len({len(taken) for taken in seconds.values()}) == 1
    assert all(min(taken) > 0 for taken in seconds.values())
    assert all(row["ratio"] > 0 for row in lever_rows([Group(part, seconds)]))
    assert threading.active_count() == num_threads  # the actors have ended


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", ["compiled-encoder", "compiled-loss"])
def test_a_compiled_part_is_timed(name, one_thread):
    assert len(levers.GROUPS[name](TINY, 2).seconds) == 2


def test_levers_that_take_too_long_are_left_out(capsys):
    report = levers.measure(levers.Settings(limit_seconds=0.01))
    assert report == {"rows": [], "left_out": list(levers.GROUPS)}
    assert capsys.readouterr().err.count("beyond its limit") == len(levers.GROUPS)


@pytest.mark.parametrize("options", [{"rounds": 1}, {"group": "gpu"}], ids=str)
def test_impossible_settings_are_refused(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))} must be"):
        levers.Settings(**options)
