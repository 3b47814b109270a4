"""The benchmark of sequence models: its figures by hand, its peers, and a tiny run."""

import pytest
import torch

from benchmarks import sequences as bench
from models.sequence_model import SequenceModelConfig

TINY = bench.Settings(rounds=2, tokens=16, lengths=(4, 8), size=32, num_layers=1)


def test_figures_by_hand():
    seconds = {"nn.LSTM": [(0.5, 1.5), (1.0, 1.0)], "rdn": [(0.5, 0.5), (0.5, 0.5)]}
    packing = {
        "batches": {
            "packed": {"steps": 10, "lanes": 2, "tokens": 20},
            "padded": {"steps": 10, "lanes": 4, "tokens": 20},
        },
        "seconds": {
            f"{core}, {way}": [(1.0, 1.0 if way == "packed" else 3.0)] * 2
            for core in ("lstm", "rdn")
            for way in ("packed", "padded")
        },
    }
    report = {
        "settings": {"tokens": 4000},
        "lengths": {"64": seconds},
        "packing": {"listops": packing},
    }
    assert bench.speed_rows(report) == [["nn.LSTM", "2.0"], ["rdn", "4.0 (2.00, 2.00 to 2.00)"]]
    row = ["listops", "rdn", "50%", "0%", "2.00 (2.00 to 2.00)"]
    assert bench.packing_rows(report)[1] == row


def test_every_model_is_timed_at_every_length_once_a_turn():
    found = bench.time_lengths(TINY, torch.device("cpu"))
    assert list(found) == ["4", "8"]
    for samples in found.values():
        assert list(samples) == [*bench.FUSED, bench.BFLOAT16, *bench.PEERS]
        for taken in samples.values():
            assert len(taken) == TINY.rounds
            assert all(seconds > 0 for sample in taken for seconds in sample)


def test_peers_have_the_sizes_of_what_they_are_compared_with():
    sizes = {
        name: sum(p.numel() for p in bench.make_model(name, (9, 9), TINY).parameters())
        for name in ("lstm", "nn.LSTM", "delta_net", "attention")
    }
    assert sizes["lstm"] == sizes["nn.LSTM"]
    betas = 32 * 8  # the slow net's outputs for the write strengths of 8 heads
    assert sizes["delta_net"] - sizes["attention"] == betas


def test_the_attention_sees_what_came_before_and_nothing_else():
    model = bench.make_model("attention", (9, 9), TINY)
    token, start = torch.arange(6).view(6, 1), torch.zeros(6, 1, dtype=torch.bool)
    changed = token.clone()
    changed[3] = 8
    before, after = (model(of, (), start)[0] for of in (token, changed))
    assert torch.equal(before[:3], after[:3])
    assert not torch.isclose(before[3:], after[3:]).all(-1).any()


def test_one_model_alone_computes_in_bfloat16():
    narrow = {
        name for name in bench.FUSED if bench.make_model(name, (9, 9), TINY).precision != "float32"
    }
    assert not narrow
    assert bench.make_model(bench.BFLOAT16, (9, 9), TINY).precision == "bfloat16"
    assert SequenceModelConfig().precision == "auto"


@pytest.mark.parametrize(
    ("values", "message"), [({"rounds": 1}, "rounds"), ({"tokens": 100}, "64")]
)
def test_settings_that_cannot_be_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        bench.Settings(**values)
