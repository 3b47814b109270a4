"""A sweep at work: what is skipped, resumed, begun anew, reported and stopped.

Most tests put a stand-in for run_atari.py in place, which writes what a run leaves behind.
"""

import json
import shutil
import sys
from pathlib import Path
from unittest.mock import Mock, patch

import pytest
import torch
import yaml
from rich.console import Console

from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from agents.runs import train
from experiment.run_dir import RunDir
from experiment.session import SessionConfig
from experiment.settings import plain_values
from experiment.stop_signals import StopRequest
from sweep import display, steps
from sweep import sweep as whole
from sweep.display import SweepDisplay
from sweep.estimate import Speed, Untimed, estimate, measured_speed, trial
from sweep.local import run_locally
from sweep.plan import SweepConfig, plan_runs
from sweep.steps import Outcome
from sweep.tune import is_tried, keep_best, plan_trials

SMOKE = Path(__file__).parents[1] / "configs/smoke.yaml"
STAND_IN = """
import json, os, pathlib, re, signal, sys, time

def options():
    return dict(text.removeprefix("--").split("=", 1) for text in sys.argv if "=" in text)

def write(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)

def train(status):
    run = pathlib.Path(options().get("run_dir") or options()["resume"])
    write(run / "config.yaml", "game: tmaze")
    write(run / "metrics.jsonl", json.dumps({"frames": 20000, "wall_seconds": 4.0}) + "\\n")
    write(run / "status.json", json.dumps({"status": status}))
    write(run / "checkpoints/000000000009.safetensors", "")

with open("calls.txt", "a") as calls:
    calls.write(" ".join(sys.argv[1:]) + "\\n")
seed = int(sys.argv[-1][-1]) if "seed" in sys.argv[-1] else 0
if sys.argv[1] == "evaluate":
    length = "-length" + options()["length"] if "length" in options() else ""
    run = pathlib.Path(sys.argv[2])
    number = "000000000007" if BEHAVIOUR == "damaged" else "000000000009"
    name = f"evaluation/{number}-gymnasium-sampled-500-{options().get('seed', 0)}{length}.json"
    rate = re.search("learning_rate=(.+?)-", str(run))
    write(run / name, json.dumps({"mean_return": float(rate[1]) if rate else 0.25}))
elif BEHAVIOUR == "fail" and seed == 1:
    print("one more thing")
    sys.exit("error: the dog ate it")
elif BEHAVIOUR == "die" and seed == 1:
    os.kill(os.getpid(), signal.SIGKILL)
elif BEHAVIOUR == "wait":
    def leave(number, frame):
        time.sleep(0.3 * (seed == 2))
        train("stopped")
        sys.exit()
    signal.signal(signal.SIGTERM, leave)
    pathlib.Path(f"waiting-{seed}").touch()
    time.sleep(30)
else:
    train("finished")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Returns a function that puts a stand-in of some behaviour in run_atari.py's place."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(steps, "ROOT", tmp_path)
    monkeypatch.setattr(steps, "POLL_SECONDS", 0.02)
    monkeypatch.setattr("sweep.local.POLL_SECONDS", 0.02)
    monkeypatch.setattr(whole, "measured_speed", lambda plan: Speed(1e4, is_trial=True))
    for module in ("plan", "tune"):
        monkeypatch.setattr(f"sweep.{module}.refuse_other_settings", lambda path, planned: None)

    def put(behaviour=""):
        script = f"BEHAVIOUR = {behaviour!r}\n{STAND_IN}"
        (tmp_path / "run_atari.py").write_text(script)

    put()
    return put


def config(**settings):
    given = {"config": SMOKE, "cores": "lstm", "seeds": 2, "out": Path("out")} | settings
    return SweepConfig(**given)


def calls():
    file = Path("calls.txt")
    lines = file.read_text().splitlines() if file.exists() else []
    file.unlink(missing_ok=True)
    return lines


def outcomes(plans, jobs=1, stop=None):
    ended = run_locally(plans, jobs, stop or StopRequest())
    return {plan.name: outcome for plan, outcome in filter(None, ended)}


def test_every_run_is_trained_then_evaluated_and_then_skipped(stand_in, capsys):
    assert whole.sweep(config(lengths="40,100"))
    train_1, *evaluations = calls()[:4]
    assert train_1.endswith("--core.kind=lstm --seed=1 --run_dir=out/tmaze/lstm/seed1")
    assert evaluations == [
        "evaluate out/tmaze/lstm/seed1",
        "evaluate out/tmaze/lstm/seed1 --length=40",
        "evaluate out/tmaze/lstm/seed1 --length=100",
    ]
    printed = capsys.readouterr().out
    assert "2 runs, 2 of them with frames left to train, 1 at a time" in printed
    assert "estimated training time: 0:00:04" in printed
    assert "[2 of 2] tmaze/lstm/seed2 finished mean return 0.250" in printed
    assert "2 runs: 2 finished" in printed

    assert whole.sweep(config(lengths="40,100,200"))
    assert calls() == [f"evaluate out/tmaze/lstm/seed{k} --length=200" for k in (1, 2)]
    assert whole.sweep(config(lengths="40,100,200"))
    assert calls() == []
    assert "2 runs: 2 skipped" in capsys.readouterr().out


def option(call, name):
    (value,) = (word.split("=")[1] for word in call.split() if word.startswith(f"--{name}="))
    return value


def test_the_best_of_the_settings_tried_trains_the_runs(stand_in, capsys):
    assert whole.sweep(config(tune=3, cores="lstm,rdn", seeds=2))
    made = calls()
    trained = [call for call in made if call.startswith("train")]
    tried, runs = trained[:6], trained[6:]
    games = [call.endswith(" --seed=1001") for call in made if call.startswith("evaluate")]
    assert games == [True] * 6 + [False] * 4  # a trial is judged by games of its own
    assert {option(call, "seed") for call in tried} == {"1001"}
    assert all(option(call, "run_dir").startswith("out-tuning/tmaze/") for call in tried)
    rates = [float(option(call, "learner.learning_rate")) for call in tried]
    assert rates[:3] == rates[3:]  # the same for every core
    assert rates[0] == yaml.safe_load(SMOKE.read_text())["learner"]["learning_rate"]
    assert len(set(rates)) == 3
    assert all(rates[0] / 4 <= rate <= 4 * rates[0] for rate in rates)

    best = tried[rates.index(max(rates))]
    assert [option(call, "run_dir") for call in runs] == [
        f"out/tmaze/{core}/seed{seed}" for seed in (1, 2) for core in ("lstm", "rdn")
    ]
    for name in ("learner.learning_rate", "learner.entropy_cost"):
        assert {option(call, name) for call in runs} == {option(best, name)}
    record = json.loads(Path("out-tuning/tmaze-rdn.json").read_text())
    assert [trial["mean_return"] for trial in record["trials"]] == rates[3:]
    assert record["best"]["learner.learning_rate"] == option(best, "learner.learning_rate")
    assert record["spent"] == {"frames": 60_000, "wall_seconds": 12.0}

    assert whole.sweep(config(tune=3, cores="lstm,rdn", seeds=2))
    assert calls() == []


def test_no_run_begins_before_its_settings_are_known(stand_in):
    stand_in("fail")
    assert not whole.sweep(config(tune=2))
    assert {option(call, "seed") for call in calls()} == {"1001"}


def test_a_trial_that_failed_is_passed_over_and_all_that_did_are_an_error(stand_in):
    trials = plan_trials(config(tune=2))
    ((first, second),) = trials.values()
    for tried in (first, second):
        tried.plan.path.mkdir(parents=True)
        (tried.plan.path / "status.json").write_text('{"status": "failed"}')
    assert is_tried(first.plan)
    with pytest.raises(ValueError, match="every trial of lstm failed; their logs are in out-tun"):
        keep_best(trials)
    (first.plan.path / "status.json").write_text('{"status": "stopped"}')
    assert not is_tried(first.plan)


def test_a_run_whose_last_checkpoint_is_passed_over_fails_alone(stand_in, capsys):
    stand_in("damaged")
    assert not whole.sweep(config(seeds=2))
    printed = " ".join(capsys.readouterr().out.split())
    for seed in (1, 2):
        assert f"the newest checkpoint in out/tmaze/lstm/seed{seed} is damaged" in printed
    assert "2 runs: 2 failed" in printed


@pytest.mark.parametrize(
    ("behaviour", "cause"), [("fail", "error: the dog ate it"), ("die", "killed by SIGKILL")]
)
def test_a_failed_run_is_reported_with_its_cause_while_others_go_on(
    stand_in, capsys, behaviour, cause
):
    stand_in(behaviour)
    assert not whole.sweep(config(seeds=3))
    printed = capsys.readouterr().out
    assert "3 runs: 1 failed, 2 finished" in printed
    assert f"failed: out/tmaze/lstm/seed1: {cause} (more in out/tmaze/lstm/seed1.log)" in printed
    stand_in()
    assert whole.sweep(config(seeds=3))


@pytest.mark.parametrize("status", [None, "running", "stopped", "failed"])
def test_an_interrupted_run_is_resumed(stand_in, status):
    (run,) = plans = plan_runs(config(seeds=1))
    run_dir = RunDir.create(run.path, {"game": "tmaze"}, {})
    if status:
        run_dir.set_status(status)
    assert outcomes(plans) == {"tmaze/lstm/seed1": Outcome("finished")}
    assert calls()[0] == "train --resume=out/tmaze/lstm/seed1"


def test_folders_that_hold_something_else_are_left_alone(stand_in):
    published, broken = plans = plan_runs(config())
    for run in plans:
        RunDir.create(run.path, {"game": "tmaze"}, {}).close()
    shutil.rmtree(published.path / "checkpoints")
    (published.path / "metrics.jsonl").touch()
    (broken.path / "status.json").write_text("{")
    before = sorted(Path("out").rglob("*"))
    causes = [outcome.cause for outcome in outcomes(plans).values()]
    assert f"{published.path} has no checkpoint to go on from" in causes[0]
    assert "status.json is not JSON" in causes[1]
    assert sorted(Path("out").rglob("*")) == before
    assert calls() == []


def test_a_stop_ends_the_runs_in_progress_and_begins_no_other(stand_in):
    stand_in("wait")
    plans, stop, ended = plan_runs(config(seeds=3)), StopRequest(), []
    for event in run_locally(plans, 2, stop):
        ended += [event] if event else []
        if len(list(Path().glob("waiting-*"))) == 2:
            stop.signal_name = "SIGTERM"
    assert [(plan.name, outcome.kind) for plan, outcome in ended] == [
        ("tmaze/lstm/seed1", "stopped"),
        ("tmaze/lstm/seed2", "stopped"),
    ]
    statuses = [json.loads((plan.path / "status.json").read_text()) for plan in plans[:2]]
    assert statuses == [{"status": "stopped"}] * 2


def test_a_sweep_that_breaks_leaves_no_process_behind(stand_in):
    stand_in("wait")
    (run,) = plans = plan_runs(config(seeds=1))
    events = run_locally(plans, 1, StopRequest())
    while not Path("waiting-1").exists():
        assert next(events) is None
    events.close()
    assert json.loads((run.path / "status.json").read_text())["status"] == "stopped"


def test_real_runs_are_resumed_and_evaluated_and_their_failures_are_told(tmp_path, capsys):
    shared = {"set": ["total_frames=768", "num_threads=1"], "cores": "lstm,rdn"}
    settings = config(out=tmp_path / "out", seeds=1, **shared)
    run, in_training = plan_runs(settings)
    train(run.config, SessionConfig(stop_after_updates=1))
    held = RunDir.create(in_training.path, plain_values(in_training.config), {})
    assert not whole.sweep(settings)
    held.close()
    assert f"train --resume={run.path}" in run.log.read_text()
    (result,) = (run.path / "evaluation").glob("*.json")
    assert json.loads(result.read_text())["frames"] == 768
    printed = capsys.readouterr().out
    assert "2 runs: 1 finished, 1 failed" in printed
    assert f"error: {in_training.path} is being trained by another process (more in" in printed


def test_the_estimate_takes_the_speed_of_earlier_runs_and_divides_among_jobs(stand_in):
    first, second, third = plans = plan_runs(config(seeds=3))
    first.path.mkdir(parents=True)
    row = json.dumps({"frames": 20000, "wall_seconds": 40.0})
    (first.path / "metrics.jsonl").write_text(row + "\n" + '{"frames": 9')
    assert measured_speed(second) == Speed(500.0, is_trial=False)
    speeds = {first.group: Speed(500.0, is_trial=False)}
    text = estimate(plans, speeds, 1)
    assert "3 runs, 2 of them with frames left to train" in text
    assert "estimated training time: 0:01:20\n  1 settings at the speed of earlier runs" in text
    assert "estimated training time: 0:00:40" in estimate(plans, speeds, 8)
    assert third.group == first.group


def test_a_setting_that_diverges_leaves_the_others_their_estimate(stand_in):
    plans = plan_runs(config(seeds=1, vary=["learner.learning_rate=1e30,0.001"]))
    speeds = {plan.group: measured_speed(plan) for plan in plans}
    said = estimate(plans, speeds, 1)
    assert "tmaze/lstm-learning_rate=1e30, which cannot be timed here: NonFiniteUpdate: " in said
    assert "1 settings timed for 2 s" in said


def test_what_is_timed_is_said_before_its_first_rollout(stand_in, monkeypatch, capsys):
    def rows(trainer):
        assert capsys.readouterr().out == "timing tmaze/lstm for 2 s\n"
        yield {}

    monkeypatch.setattr(Trainer, "rows", rows)
    (plan,) = plan_runs(config(seeds=1))
    assert measured_speed(plan).is_trial


@pytest.mark.parametrize("error", [MemoryError(), torch.OutOfMemoryError("CUDA"), OSError("gone")])
def test_what_cannot_be_timed_is_left_to_its_run(stand_in, monkeypatch, error):
    (plan,) = plan_runs(config(seeds=1))
    monkeypatch.setattr("sweep.estimate.trial", Mock(side_effect=error))
    speed = measured_speed(plan)
    assert not speed.is_refused
    said = estimate([plan], {plan.group: speed}, 1)
    assert "estimated training time: unknown" in said
    assert "tmaze/lstm, which cannot be timed here: " in said
    assert ("gone" if isinstance(error, OSError) else "out of memory: try") in said


def test_settings_that_do_not_fit_are_told_apart_from_failures(stand_in, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    (plan,) = plan_runs(config(seeds=1, set=["device=cuda"]))
    said = "device: cuda was asked for, but torch sees no CUDA device; use cpu"
    assert measured_speed(plan) == Untimed(said, is_refused=True)


def test_a_mistake_of_ours_in_a_trial_is_no_cause(stand_in, monkeypatch):
    (plan,) = plan_runs(config(seeds=1))
    monkeypatch.setattr("sweep.estimate.trial", Mock(side_effect=RuntimeError("shapes")))
    with pytest.raises(RuntimeError, match="shapes"):
        measured_speed(plan)


def test_metrics_that_are_damaged_stop_no_sweep(stand_in, monkeypatch):
    """They are the run's to tell, when it is resumed."""
    monkeypatch.setattr("sweep.estimate.trial", lambda *_: 100.0)
    first, second = plans = plan_runs(config(seeds=2))
    first.path.mkdir(parents=True)
    (first.path / "metrics.jsonl").write_text("nonsense\n")
    speed = measured_speed(second)
    assert speed == Speed(100.0, is_trial=True)
    assert "2 of them with frames left" in estimate(plans, {first.group: speed}, 1)


def test_settings_of_which_none_can_run_here_end_the_sweep_before_it_starts(stand_in, monkeypatch):
    settings = config(cores="lstm,rdn", seeds=1)
    ends = dict.fromkeys(("lstm", "rdn"), Untimed("no such device", is_refused=True))
    monkeypatch.setattr(whole, "measured_speed", lambda plan: ends[plan.config.core.kind])
    with pytest.raises(ValueError, match="no such device"):
        whole.sweep(settings)
    assert calls() == []
    ends["rdn"] = Speed(1e4, is_trial=True)
    assert whole.sweep(settings)
    assert len(calls()) == 4


def test_what_is_trained_is_evaluated_though_all_that_is_left_to_train_is_refused(stand_in):
    assert whole.sweep(config(cores="rdn", seeds=1))
    shutil.rmtree("out/tmaze/rdn/seed1/evaluation")
    calls()
    refused = Untimed("no such device", is_refused=True)
    with patch.object(whole, "measured_speed", return_value=refused):
        whole.sweep(config(cores="lstm,rdn", seeds=1))
    assert "evaluate out/tmaze/rdn/seed1" in calls()


@pytest.mark.parametrize("total_frames", [256, 4000])
def test_a_trial_measures_a_speed(total_frames, monkeypatch):
    monkeypatch.setattr("sweep.estimate.TRIAL_SECONDS", 0.1)
    (plan,) = plan_runs(config(seeds=1, set=[f"total_frames={total_frames}", "num_threads=1"]))
    assert isinstance(plan.config, TrainConfig)
    assert 10 < trial(plan.config, plan.group) < 1e7


def test_the_table_shows_every_run_where_it_stands(stand_in, monkeypatch):
    plans = plan_runs(config(cores="lstm,rdn", seeds=2))
    monkeypatch.setattr(
        display, "Console", lambda: Console(file=sys.stdout, force_terminal=True, width=90)
    )
    with SweepDisplay(plans) as shown:
        assert outcomes(plans[:1])
        shown.end(plans[0], Outcome("finished"))
        shown.end(plans[1], Outcome("failed", "why"))
        plans[2].path.mkdir()
        (plans[2].path / "status.json").write_text('{"status": "running"}')
        (plans[2].path / "metrics.jsonl").write_text('{"frames": 5000}\n')
        shown._began -= 60
        console = Console(width=90)
        with console.capture() as captured:
            console.print(shown._table())
    table = " ".join(captured.get().split())
    assert "tmaze/lstm │ finished 25% │ 0.250" in table
    assert "tmaze/rdn │ failed waiting │" in table
    assert "2 of 4 runs ended after 0:01:0" in table
