"""The benchmark of a step's cost: its figures by hand, its variants, and a tiny run."""

from collections import Counter
from dataclasses import replace

import pytest

from agents.impala.config import config_from_values
from benchmarks import loop_costs, throughput
from models.cores import CORES
from tools.pages.loop_costs import costs_block, run_length_block

TINY = config_from_values(
    {
        "game": "control",
        "encoder": {"kind": "mlp"},
        "core": {"num_layers": 1, "hidden_size": 8, "num_heads": 2, "feedforward_size": 8},
        "learner": {"unroll_length": 3, "batch_size": 4},
        "num_threads": 1,
    }
)


def test_rows_by_hand():
    one = loop_costs.with_environments(TINY, 1)
    compared = {"two": loop_costs.with_environments(TINY, 2), "one": one}
    two, one = loop_costs.cost_rows(compared, {"two": [6e-6, 6e-6, 12e-6], "one": [6e-6] * 3})
    assert (two["variant"], two["ratio"], two["quartiles"]) == ("two", 1.0, [1.0, 1.0])
    assert two["microseconds_per_step"] == pytest.approx(1.0)
    assert one["microseconds_per_step"] == pytest.approx(2.0)
    assert one["ratio"] == pytest.approx(0.5)  # as long for half the steps
    assert one["quartiles"] == pytest.approx([0.5, 0.75])
    assert loop_costs.cells(one) == ["one", "2", "0.50", "0.50 to 0.75"]


def test_only_what_a_group_is_named_after_differs():
    groups = loop_costs.variants(TINY)
    assert set(groups["core"]) == set(CORES)
    base = groups["core"]["lstm"]
    assert base == next(iter(groups["environments"].values()))
    assert base.learner.batch_size == loop_costs.COMPARED_AT
    for kind, config in groups["core"].items():
        assert config == replace(base, core=replace(base.core, kind=kind))
    for size, config in groups["environments"].items():
        assert config == replace(base, learner=replace(base.learner, batch_size=int(size)))


def test_every_variant_is_timed(monkeypatch, one_thread):
    monkeypatch.setattr(loop_costs, "ENVIRONMENTS", (8, 32))
    groups = loop_costs.measure(TINY, rounds=2, late=3)
    assert [row["variant"] for row in groups["environments"]] == ["32", "8"]
    assert all(row["microseconds_per_step"] > 0 for rows in groups.values() for row in rows)
    assert groups["core"][0]["ratio"] == 1.0
    assert [row["variant"] for row in groups[loop_costs.LATENESS]] == ["0", "3"]


def test_a_loop_is_as_old_as_is_asked_for(monkeypatch, one_thread):
    rollouts = Counter()
    learn_one = throughput.Whole.__call__

    def counted(whole):
        rollouts[whole.trainer.config.seed] += 1
        return learn_one(whole)

    monkeypatch.setattr(throughput.Whole, "__call__", counted)
    loops = {"young": replace(TINY, seed=1), "old": replace(TINY, seed=2)}
    throughput.time_loops(loops, rounds=2, ages={"old": 5})
    assert rollouts[2] == rollouts[1] + 5


def test_pages_show_what_was_measured():
    shown = costs_block()
    assert shown.count("speed over lstm") == shown.count(" cores of ")
    assert f"| {loop_costs.LATENESS} |" in shown
    assert run_length_block().count("\n") >= 2


def test_one_round_is_refused():
    with pytest.raises(ValueError, match="rounds must be >= 2, got 1"):
        loop_costs.Settings(rounds=1)
    with pytest.raises(ValueError, match="late must be >= 1, got 0"):
        loop_costs.Settings(late=0)
