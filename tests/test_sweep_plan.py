"""Which runs a sweep consists of, where they lie, and what is refused before any begins."""

from argparse import ArgumentError
from pathlib import Path

import pytest
import yaml

import run_atari
from experiment.files import write_json
from experiment.settings import plain_values
from sweep.estimate import estimate
from sweep.plan import SweepConfig, plan_runs
from sweep.steps import commands_left
from sweep.tune import plan_trials, tuning_folder

SMOKE = Path(__file__).parents[1] / "configs/smoke.yaml"


def plan(tmp_path, **settings):
    given = {"config": SMOKE, "cores": "lstm", "seeds": 1, "out": tmp_path / "out"} | settings
    sweep = SweepConfig(**given)
    return plan_runs(sweep) if not plan_trials(sweep) else []


def folders(plans, tmp_path):
    return [str(p.path.relative_to(tmp_path / "out")) for p in plans]


def test_runs_are_games_by_cores_by_seeds_and_every_core_comes_early(tmp_path):
    plans = plan(tmp_path, cores="lstm,rdn,rdn-bptt1", seeds=2, games="tmaze,parity")
    assert folders(plans, tmp_path) == [
        f"{game}/{core}/seed{seed}"
        for seed in (1, 2)
        for game in ("tmaze", "parity")
        for core in ("lstm", "rdn", "rdn-bptt1")
    ]
    last = plans[-1].config
    assert (last.game, last.core.kind, last.core.bptt, last.seed) == ("parity", "rdn", 1, 2)
    assert last.env.length == 5  # of the config file
    assert last.run_dir == str(plans[-1].path)


def test_ray_is_asked_for_where_it_is_missing(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr("sweep.sweep.find_spec", lambda name: None)
    out = tmp_path / "out"
    options = ["--cores", "rdn", "--out", str(out), "--launcher", "ray"]
    assert run_atari.main(["sweep", "--config", str(SMOKE), *options]) == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert line == "error: --launcher ray needs Ray: pip install -e '.[ray]'"
    assert not out.exists()


def test_varied_settings_are_combined_and_named(tmp_path):
    vary = ["learner.entropy_cost=0.01,3e-3", "core.bptt=full,1"]
    plans = plan(tmp_path, cores="rdn", vary=vary, set=["total_frames=100"])
    assert folders(plans, tmp_path) == [
        "tmaze/rdn-entropy_cost=0.01/seed1",
        "tmaze/rdn-bptt1-entropy_cost=0.01/seed1",
        "tmaze/rdn-entropy_cost=3e-3/seed1",
        "tmaze/rdn-bptt1-entropy_cost=3e-3/seed1",
    ]
    configs = [p.config for p in plans]
    assert [c.learner.entropy_cost for c in configs] == [0.01, 0.01, 0.003, 0.003]
    assert [c.core.bptt for c in configs] == ["full", 1, "full", 1]
    assert {c.total_frames for c in configs} == {100}


def test_atari_games_lie_under_their_canonical_name(tmp_path):
    assert folders(plan(tmp_path, games="Pong"), tmp_path) == ["Pong-v5/lstm/seed1"]


def test_the_first_evaluation_is_at_the_length_trained_at(tmp_path):
    (run,) = plan(tmp_path, lengths="40,100")
    assert [e.length for e in run.evaluations] == [None, 40, 100]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seeds": 0}, "seeds must be >= 1, got 0"),
        ({"jobs": 0}, "jobs must be >= 1, got 0"),
        ({"out": SMOKE}, "out must be a folder, .*smoke.yaml is a file"),
        ({"cores": "rdm"}, "core.kind must be one of lstm, .*, got 'rdm'; close: rdn"),
        ({"cores": "lstm,"}, "core.kind"),
        ({"games": "Pung"}, "unknown game 'Pung'; close: Pong-v5"),
        ({"vary": ["learner.entropy=0.1"]}, "unknown setting 'learner.entropy'; close: learner.en"),
        ({"vary": ["learner.entropy_cost"]}, "--vary takes field=value, got 'learner.entropy_cost"),
        ({"vary": ["learner.entropy_cost=low"]}, "(?s)learner.entropy_cost.*float.*low"),
        ({"vary": ["learner.discount=2"]}, r"discount must be in \[0, 1\], got 2"),
        ({"vary": ["seed=1,2"]}, "--vary seed: use --seeds"),
        ({"set": ["core.kind=rdn"]}, "--set core.kind: use --cores"),
        ({"set": ["num_threads=1,2"]}, "--set num_threads takes one value, got '1,2'"),
        ({"set": ["num_threads=1", "num_threads=2"]}, "--set num_threads is given twice"),
        ({"vary": ["learner.discount=0", "learner.discount=1"]}, "learner.discount is given twice"),
        ({"set": ["num_actors=1"], "vary": ["num_actors=1,2"]}, "--set and --vary both give num_a"),
        ({"out": Path("runs/lr-tuning")}, "out must not end in -tuning, as folders of trials do"),
        ({"cores": "rdn,rdn"}, "two runs of the sweep are .*rdn/seed1"),
        ({"vary": ["learner.learning_rate=1e-3,0.001"]}, "rate=0.001/seed1 would be the same run"),
        ({"cores": "rdn-bptt1", "set": ["core.bptt=full"]}, "--cores rdn-bptt1 gives core.bptt: "),
        (
            {"cores": "lstm,feedforward", "set": ["core.parameters=5000"]},
            "feedforward has no use for core.parameters",
        ),
        ({"lengths": "40,x"}, "lengths must be whole numbers such as 40,100, got '40,x'"),
        ({"lengths": "0"}, "length must be >= 1, got 0"),
        ({"lengths": "4", "games": "repeat_previous"}, "repeat_previous needs k < length"),
        ({"lengths": "4", "games": "repeat_previous", "tune": 2}, "needs k < length"),
        ({"vary": ["learner.entropy=0.1"], "tune": 2}, "unknown setting 'learner.entropy'"),
        ({"cores": "lstm,lstm", "tune": 2}, "two runs of the sweep are .*lstm/seed1"),
        ({"lengths": "40", "games": "key_value"}, "length 40 was asked for, but key_value has no"),
        ({"lengths": "40", "games": "Pong"}, "length 40 was asked for, but Pong-v5 has no length"),
        ({"config": Path("absent.yaml")}, "absent.yaml"),
        ({"tune": -1}, "tune must be >= 0, got -1"),
        ({"tune": 2, "set": ["learner.learning_rate=1"]}, "--tune draws learner.learning_rate: "),
    ],
    ids=lambda x: (
        "-".join(f"{k}={v}" for k, v in x.items()).replace("/", "_")
        if isinstance(x, dict)
        else None
    ),
)
def test_a_sweep_that_cannot_be_is_refused(tmp_path, settings, message):
    with pytest.raises((ValueError, ArgumentError), match=message):
        plan(tmp_path, **settings)
    assert list(tmp_path.iterdir()) == []


def test_options_that_are_repeated_add_up():
    typed = "--config c --cores rdn --out o --vary a=1,2 --vary b=3 c=4 --set d=1 --set e=2"
    parsed = run_atari.sweep_parser().parse_args(typed.split())
    assert parsed.vary == ["a=1,2", "b=3", "c=4"]
    assert parsed.set == ["d=1", "e=2"]


def test_a_run_of_other_settings_is_not_continued(tmp_path):
    (run,) = plan(tmp_path)
    run.path.mkdir(parents=True)
    settings = run.path / "config.yaml"
    settings.write_text(yaml.safe_dump(plain_values(run.config) | {"run_dir": "elsewhere"}))
    assert plan(tmp_path) == [run]
    with pytest.raises(ValueError, match="with total_frames 20000, the sweep has 5; choose"):
        plan(tmp_path, set=["total_frames=5"])


def test_a_run_that_was_begun_after_another_number_of_trials_is_told_before_any(tmp_path):
    (run,) = plan(tmp_path)
    run.path.mkdir(parents=True)
    (run.path / "config.yaml").write_text(yaml.safe_dump(plain_values(run.config)))
    records = tuning_folder(tmp_path / "out")
    records.mkdir()
    write_json(records / "tmaze-rdn.json", {"trials": [{}] * 2})  # of another core
    with pytest.raises(ValueError, match="lstm/seed1 was begun after 0 trials, asked for are 2;"):
        plan(tmp_path, tune=2)
    write_json(records / "tmaze-lstm.json", {"trials": [{}] * 3})
    with pytest.raises(ValueError, match="lstm/seed1 was begun after 3 trials, asked for are 2;"):
        plan(tmp_path, tune=2)
    assert plan(tmp_path, tune=3) == []


def test_runs_of_several_processes_are_begun_and_resumed_as_such_and_counted(tmp_path):
    plans = plan(tmp_path, processes=2, seeds=2, set=["num_groups=2"])
    assert next(commands_left(plans[0]))[-1] == "--processes=2"
    said = estimate(plans, {}, jobs=3)
    assert "2 runs, 2 of them with frames left to train, 3 at a time, of 2 processes each" in said
    with pytest.raises(ValueError, match=r"num_groups \(1\) must be a multiple .* processes \(2\)"):
        plan(tmp_path, processes=2)
