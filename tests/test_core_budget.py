"""`core.parameters`: the built core has as many as were asked for, and the run says its sizes."""

from dataclasses import replace

import pytest
import yaml

from agents.impala.config import LearnerConfig, TrainConfig
from agents.runs import train
from models.cores import CORES, CoreConfig, fitted, make_core, refuse_unused, resolved
from models.encoders import EncoderConfig
from sweep.plan import SweepConfig, plan_runs

INPUT = 67
SIZED = [kind for kind, spec in CORES.items() if "hidden_size" in spec.sizes]


def built(config):
    return sum(p.numel() for p in make_core(config, INPUT).parameters())


@pytest.mark.parametrize("budget", [12_000, 50_000, 400_000])
@pytest.mark.parametrize("kind", SIZED)
def test_a_core_has_the_parameters_asked_for(kind, budget):
    config = fitted(CoreConfig(kind=kind, num_layers=1, parameters=budget), INPUT)
    assert 0.95 * budget <= built(config) <= 1.05 * budget
    assert config.num_layers in (1, None)
    assert config.num_heads is None or config.hidden_size % (8 * config.num_heads) == 0
    assert fitted(config, INPUT) == config


@pytest.mark.parametrize(
    ("kind", "budget", "size"), [("lstm", 20_000, 15), ("gru", 19_400, 19), ("lstm", 19_000, 14)]
)
def test_without_a_feedforward_the_size_next_to_the_budget_is_taken(kind, budget, size):
    """With 321 features each one more of an LSTM of 14 is 1,400 parameters, 7% of 20,000."""
    assert fitted(CoreConfig(kind=kind, num_layers=1, parameters=budget), 321).hidden_size == size


def test_the_number_that_is_told_is_the_closest():
    with pytest.raises(ValueError, match="cannot have 2,100 within 5%; close: 2,"):
        fitted(CoreConfig(kind="lstm", num_layers=1, parameters=2_100), 321)


def test_hidden_and_feedforward_size_grow_together():
    sizes = [
        fitted(CoreConfig(kind="rdn", parameters=n), INPUT) for n in (100_000, 400_000, 1_600_000)
    ]
    for name in ("hidden_size", "feedforward_size"):
        values = [getattr(config, name) for config in sizes]
        assert values == sorted(set(values))


def test_sizes_that_fit_are_kept_and_so_are_all_without_a_number():
    given = CoreConfig(kind="lstm", hidden_size=83)
    assert fitted(given, INPUT) == resolved(given)
    near = replace(given, parameters=round(built(given) / 1.04))
    assert fitted(near, INPUT).hidden_size == 83
    off = replace(given, parameters=round(built(given) / 1.06))
    assert fitted(off, INPUT).hidden_size != 83


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match=r"core\.parameters: rdn cannot have 900 within 5%; close"):
        fitted(CoreConfig(kind="rdn", parameters=900), INPUT)
    with pytest.raises(ValueError, match=r"core\.parameters must be >= 1, got 0"):
        CoreConfig(parameters=0)
    with pytest.raises(ValueError, match=r"feedforward has no use for core\.parameters"):
        refuse_unused("feedforward", {"core.parameters"})


def test_a_run_records_its_sizes_and_a_sweep_goes_on_with_it(tmp_path):
    config = TrainConfig(
        game="control",
        core=CoreConfig(kind="rdn", num_layers=1, parameters=20_000),
        encoder=EncoderConfig(size=16),
        learner=LearnerConfig(unroll_length=2, batch_size=2),
        device="cpu",
        run_dir=str(tmp_path / "runs/control/rdn/seed1"),
        total_frames=4,
    )
    run = train(config)
    settings = yaml.safe_load((run / "config.yaml").read_text())
    core = CoreConfig(**settings["core"])
    assert core.parameters == 20_000
    features = 16 + 1  # the encoder's and the last reward
    count = sum(p.numel() for p in make_core(core, features).parameters())
    assert 19_000 <= count <= 21_000

    del settings["run_dir"], settings["core"]["hidden_size"], settings["core"]["feedforward_size"]
    (tmp_path / "c.yaml").write_text(yaml.safe_dump(settings))
    sweep = SweepConfig(config=tmp_path / "c.yaml", cores="rdn", seeds=1, out=tmp_path / "runs")
    assert [plan.path for plan in plan_runs(sweep)] == [run]
    with pytest.raises(ValueError, match=r"holds a run with core.parameters 20000, the sweep has"):
        plan_runs(replace(sweep, set=("core.parameters=30000",)))
