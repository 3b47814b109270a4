"""The table of cores and tasks: all of it can be planned, and it goes on where it was stopped."""

import json
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from agents.plugins import use_named
from agents.runs import train
from comparison.task_file import read_task_file
from envs import family_of
from experiment.files import write_json
from experiment.provenance import ROOT
from models.cores import CORES
from sweep.plan import matrix, plan_runs
from sweep.tune import TUNED
from tests.test_tools_publish import evaluate
from tools import table
from tools.table import TableConfig, main, sweeps

SMALL = {
    "game": "control",
    "core": {"kind": "lstm", "hidden_size": 4},
    "encoder": {"kind": "mlp", "size": 4},
    "learner": {
        "unroll_length": 4,
        "batch_size": 2,
        "learning_rate": 0.001,
        "entropy_cost": 0.01,
    },
    "total_frames": 16,
}


def test_the_table_is_twelve_cores_on_twenty_tasks(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    found = sweeps(TableConfig(results=tmp_path))
    assert len(found) == 20
    assert len({of.out for of in found.values()}) == 20
    for of_task in found.values():
        assert len(of_task.cores.split(",")) == 12
        assert set(of_task.cores.split(",")) < CORES.keys()
        use_named(["--games", of_task.games or ""])
        (plan,) = plan_runs(replace(of_task, cores="rdn", seeds=1, out=tmp_path / of_task.out))
        assert plan.config.core.parameters == 50_000
        assert plan.config.total_frames == 1_000_000
        is_guest = plan.config.game.startswith("popgym:")
        assert plan.config.policy.last_action == is_guest
        assert is_guest or family_of(plan.config.game).question(plan.config.game, plan.config.env)


def test_a_game_that_is_none_is_refused(capsys):
    assert main(["--tasks=tmace"]) == 2
    assert "got 'tmace'; close: tmaze" in capsys.readouterr().err


@pytest.fixture
def worked_off(tmp_path, monkeypatch):
    """Has sweeps train tiny runs in this process; returns the cores of each that was begun."""
    begun = []

    def work_off(config, stop):
        begun.append((config.out.name, config.cores))
        for plan in matrix(config):
            if not plan.path.exists():
                evaluate(train(plan.config), "control", 2, {})
        return True

    (tmp_path / "small.yaml").write_text(yaml.safe_dump(SMALL))
    tasks = {name: {"config": "small.yaml"} for name in ("tmaze", "parity")}
    tasks["longer"] = {"config": "small.yaml", "lengths": "9"}
    small = {"cores": "lstm", "seeds": 1, "set": {}, "tasks": tasks}
    (tmp_path / "table.yaml").write_text(yaml.safe_dump(small))
    monkeypatch.setattr(table, "TABLE", tmp_path / "table.yaml")
    monkeypatch.setattr(table.sweep, "work_off", work_off)
    monkeypatch.chdir(tmp_path)
    return begun


def test_what_a_file_holds_is_left_out_and_what_comes_is_added(worked_off, tmp_path):
    options = ["--seeds=1", "--results=kept"]
    assert main([*options, "--tasks=tmaze", "--cores=lstm,gru"]) == 0
    assert main([*options, "--tasks=tmaze,parity", "--cores=lstm,feedforward"]) == 0
    assert worked_off == [
        ("tmaze", "lstm,gru"),
        ("tmaze", "feedforward"),
        ("parity", "lstm,feedforward"),
    ]
    runs = read_task_file(tmp_path / "kept/tmaze.json")
    assert sorted(run.config.core.kind for run in runs) == ["feedforward", "gru", "lstm"]
    assert main([*options, "--tasks=tmaze", "--cores=lstm"]) == 0
    assert main(["--results=kept", "--seeds=2", "--tasks=tmaze", "--cores=gru"]) == 0
    assert worked_off[3:] == [("tmaze", "gru")]  # a second seed is missing


@pytest.mark.parametrize(
    ("option", "said"),
    [
        (
            '--set={"core.hidden_size": 5}',
            "has lstm with core.hidden_size 4, asked for is 5; choose",
        ),
        ("--tune=2", "has lstm without 2 trials; choose another --results"),
    ],
)
def test_runs_of_other_settings_are_refused_before_any_begins(worked_off, capsys, option, said):
    asked = ["--cores=lstm", "--results=kept"]
    assert main([*asked, "--tasks=tmaze"]) == 0
    assert main([*asked, "--tasks=tmaze", '--set={"num_threads": 2}']) == 0  # changes no result
    assert main([*asked, "--tasks=parity,tmaze", option]) == 2
    assert f"kept/tmaze.json {said}" in capsys.readouterr().err
    assert worked_off == [("tmaze", "lstm")]


def test_tuned_runs_stand_for_those_of_as_many_trials(worked_off, capsys):
    asked = ["--tasks=tmaze", "--cores=lstm", "--results=kept"]
    assert main(asked) == 0
    own = {name: str(SMALL["learner"][name.split(".")[1]]) for name in TUNED}
    Path("kept/tuning").mkdir()
    write_json(Path("kept/tuning/tmaze.json"), {"lstm": {"best": own, "trials": [{}, {}]}})
    assert main([*asked, "--tune=2"]) == 0
    assert main([*asked, "--tune=3"]) == 2
    assert "without 3 trials" in capsys.readouterr().err
    assert worked_off == [("tmaze", "lstm")]


def test_a_value_that_train_refuses_is_told_in_a_line(worked_off, capsys):
    assert main(["--results=kept", '--set={"total_frames": "abc"}']) == 2
    assert "total_frames" in capsys.readouterr().err


def test_a_run_is_published_once_it_is_evaluated_at_every_length(worked_off):
    asked = ["--tasks=longer", "--cores=lstm", "--results=kept"]
    assert main(asked) == 0
    assert not Path("kept").exists()
    evaluate(Path("runs/table/longer/control/lstm/seed1"), "control", 2, {"length": 9})
    assert main(asked) == 0
    (run,) = read_task_file(Path("kept/longer.json"))
    assert [other.settings for other in run.others] == [{"length": 9}]


def test_a_seed_that_is_missing_is_run_whatever_others_are_there(worked_off):
    asked = ["--tasks=tmaze", "--cores=lstm", "--results=kept"]
    assert main([*asked, "--seeds=3"]) == 0
    file = Path("kept/tmaze.json")
    values = json.loads(file.read_text())
    values["runs"] = [run for run in values["runs"] if run["seed"] != 1]
    write_json(file, values)
    assert main([*asked, "--seeds=1"]) == 0
    assert worked_off == [("tmaze", "lstm")] * 2
    assert sorted(run.config.seed for run in read_task_file(file)) == [1, 2, 3]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_table(worked_off, monkeypatch, number):
    work_off = table.sweep.work_off

    def stopped(config, stop):
        work_off(config, stop)
        os.kill(os.getpid(), number)
        return False

    monkeypatch.setattr(table.sweep, "work_off", stopped)
    assert main(["--tasks=tmaze,parity", "--cores=lstm", "--results=kept"]) == 1
    assert worked_off == [("tmaze", "lstm")]
    assert not Path("kept").exists()


def test_what_was_tried_is_kept_by_core(worked_off, tmp_path):
    folder = tmp_path / "runs/table/tmaze-tuning"
    (folder / "control").mkdir(parents=True)
    for core, rate in (("lstm", "1"), ("rdn-bptt1", "2")):
        write_json(folder / f"control-{core}.json", {"best": rate})
    assert main(["--tasks=tmaze", "--cores=lstm", "--results=kept"]) == 0
    kept = json.loads((tmp_path / "kept/tuning/tmaze.json").read_text())
    assert kept == {"lstm": {"best": "1"}, "rdn-bptt1": {"best": "2"}}
