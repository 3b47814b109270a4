"""Publishing runs: what is taken, and that nothing is overwritten."""

import json
import shutil
from dataclasses import replace

import pytest

from agents.evaluation.evaluate import EvaluationConfig, num_games
from agents.evaluation.results import result_path
from agents.evaluation.saved_policy import load_policy
from agents.impala.config import config_from_values
from agents.runs import train
from comparison.task_file import read_task_file
from experiment.files import write_json
from tests.run_folders import evaluation, metrics
from tools import publish as module
from tools.publish import main, publish

CONTROL = {
    "game": "control",
    "encoder": {"kind": "mlp"},
    "core": {"kind": "feedforward"},
    "learner": {"unroll_length": 4, "batch_size": 2},
    "total_frames": 16,
}
OTHERS = [{"episodes": 5}, {"seed": 1}, {"greedy": True}, {"length": 9}]


def trained(run, **values):
    config = config_from_values(CONTROL | values)
    return train(replace(config, run_dir=str(run)))


def evaluate(run, game, updates, *kinds):
    """Writes results as `evaluate` names them."""
    for settings in kinds:
        config = EvaluationConfig(**settings)
        games = [1.0] * num_games(game, config)
        file = result_path(run, game, updates, config)
        file.parent.mkdir(exist_ok=True)
        write_json(file, evaluation(games, game=game, updates=updates, **settings))


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Two seeds of a small task and a run on Atari, with evaluations as `evaluate` leaves them."""
    root = tmp_path_factory.mktemp("made")
    for seed in (1, 2):
        run = trained(root / f"tasks/control/feedforward/seed{seed}", seed=seed)
        evaluate(run, "control", 2, {}, {"length": 9})
    run = trained(
        root / "pong/feedforward/seed1", game="Pong-v5", encoder={"kind": "small"}, total_frames=32
    )
    evaluate(run, "Pong-v5", 1, {}, {"greedy": True})
    return root


@pytest.fixture
def runs(made, tmp_path):
    return shutil.copytree(made, tmp_path / "runs")


def seeds(file):
    return [run.config.seed for run in read_task_file(file)]


@pytest.mark.parametrize("settings", [None, *OTHERS], ids=str)
def test_a_run_without_the_evaluation_that_makes_a_score_is_refused(runs, tmp_path, settings):
    run = runs / "tasks/control/feedforward/seed1"
    shutil.rmtree(run / "evaluation")
    evaluate(run, "control", 1, {})  # of weights that are not the last
    evaluate(run, "control", 2, *[settings] * bool(settings))
    wanted = r"there is no .*/seed1/evaluation/0{11}2-gymnasium-sampled-500-0.json; run: "
    with pytest.raises(ValueError, match=wanted):
        publish(runs / "tasks", tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_runs_of_a_task_go_into_one_file(runs, tmp_path):
    (file,) = publish(runs / "tasks", tmp_path / "results")
    assert file == tmp_path / "results/control.json"
    assert seeds(file) == [1, 2]
    (other,) = read_task_file(file)[0].others
    assert other.variation == "length=9"


def test_more_runs_are_added_and_what_is_there_stays(runs, tmp_path):
    later = runs / "tasks/control/feedforward/seed1"
    shutil.move(later, runs / "later")
    file = tmp_path / "control-of-mine.json"
    publish(runs / "tasks", file)
    before = json.loads(file.read_text())["runs"]
    assert publish(runs / "tasks", file) == []
    shutil.move(runs / "later", later)
    assert publish(runs / "tasks", file) == [file]
    assert seeds(file) == [2, 1]
    assert publish(runs / "tasks", file) == []
    after = json.loads(file.read_text())["runs"]
    for name in ("core", "seed", "score", "evaluations", "end", "curve"):
        assert after[0][name] == before[0][name]


def test_another_run_of_the_same_settings_and_seed_is_refused(runs, tmp_path):
    (file,) = publish(runs / "tasks", tmp_path / "results")
    before = file.read_text()
    run = runs / "tasks/control/feedforward/seed2"
    origin = json.loads((run / "provenance.json").read_text())
    write_json(run / "provenance.json", origin | {"date": "2999-01-01T00:00:00+00:00"})
    with pytest.raises(ValueError, match=r"control.json runs\[1\] and .*seed2 are the same run"):
        publish(runs / "tasks", tmp_path / "results")
    assert file.read_text() == before


def test_a_file_is_of_one_task(runs, tmp_path):
    run = trained(runs / "tasks/longer/seed1", env={"length": 9})
    evaluate(run, "control", 2, {})
    file = tmp_path / "results/control.json"
    wanted = r"control.json would hold more than one task: control length=.*; name a file for each"
    with pytest.raises(ValueError, match=wanted):
        publish(runs / "tasks", file)
    assert not file.exists()


def test_of_a_run_on_atari_its_folder_is_kept(runs, tmp_path):
    (target,) = publish(runs / "pong", tmp_path / "results", with_policies=True)
    assert target == tmp_path / "results/feedforward/seed1"
    kept = {"config.yaml", "provenance.json", "metrics.jsonl", "evaluation.json"}
    weights = "policy.safetensors"
    assert {f.name for f in target.iterdir()} == kept | {"evaluation-greedy.json", weights}
    assert not json.loads((target / "evaluation.json").read_text())["settings"]["greedy"]
    assert json.loads((target / "evaluation-greedy.json").read_text())["settings"]["greedy"]
    assert load_policy(target / weights).updates == 1
    assert publish(runs / "pong", tmp_path / "results", with_policies=True) == []


def test_metrics_are_thinned_to_what_a_curve_needs(tmp_path):
    rows = metrics(1 / 3, frames=range(1000, 2_000_000, 1000))
    rows[-1] |= {"loss/total": 1.0, "share/env": None}
    source = tmp_path / "metrics.jsonl"
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    module.thin_metrics(source, source)
    first, *_, last = kept = [json.loads(line) for line in source.read_text().splitlines()]
    assert len(kept) == 200
    assert (first["frames"], last["frames"]) == (1000, 1_999_000)
    assert last["return/last_100_games_points"] == pytest.approx(1 / 3, rel=1e-7)
    assert not last.keys() & {"games", "loss/total", "share/env"}


def test_a_folder_is_published_whole_or_not_at_all(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_POLICY_BYTES", 10)
    with pytest.raises(ValueError, match="at most 10"):
        publish(runs / "pong", tmp_path / "results", with_policies=True)
    assert not list((tmp_path / "results/feedforward").iterdir())


def test_a_run_under_way_is_left_out(runs, tmp_path):
    status = runs / "tasks/control/feedforward/seed1/status.json"
    status.write_text(json.dumps(json.loads(status.read_text()) | {"status": "running"}))
    (file,) = publish(runs / "tasks", tmp_path / "results")
    assert seeds(file) == [2]


def test_the_command_says_what_it_wrote_or_why_not_in_one_line(runs, tmp_path, capsys):
    assert main([str(runs / "tasks"), str(tmp_path / "results")]) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'results/control.json'}\n"
    shutil.rmtree(runs / "tasks/control/feedforward/seed1/evaluation")
    assert main([str(runs / "tasks"), str(tmp_path / "elsewhere")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: there is no ")
    assert error.count("\n") == 1


def test_trials_are_no_seeds(runs, tmp_path):
    (runs / "tasks").rename(runs / "tasks-tuning")
    publish(runs, tmp_path / "results")
    assert not (tmp_path / "results/control.json").exists()


def test_of_a_run_its_policy_alone_can_be_published_and_plays(runs, tmp_path):
    seeds = runs / "tasks/control/feedforward"
    (seeds / "seed2").rename(seeds / "0")  # comes first, and is not seed 1
    results = tmp_path / "results"
    kept = [str(runs), str(results), "--only-policies"]
    assert main(kept) == 0
    assert sorted(p.name for p in results.iterdir()) == [
        "control-feedforward",
        "pong-v5-feedforward",
    ]
    folder = results / "control-feedforward"
    names = ["evaluation.json", "policy.safetensors", "provenance.json"]
    assert sorted(p.name for p in folder.iterdir()) == names
    assert load_policy(folder).spec.game == "control"
    assert load_policy(folder).config.seed == 1
    before = (folder / "policy.safetensors").stat().st_mtime_ns
    assert main(kept) == 0
    assert (folder / "policy.safetensors").stat().st_mtime_ns == before
