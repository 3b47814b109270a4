"""Runs that begin with the weights of a saved policy: what is taken, drawn and refused."""

import json
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from agents.evaluation.saved_policy import export_policy, load_policy
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.initial_weights import take_weights
from agents.impala.resolve import make_policy
from agents.impala.trainer import Trainer
from agents.runs import resume, train
from experiment.checkpoint import load_newest
from experiment.session import SessionConfig
from models.cores import CoreConfig
from models.encoders import EncoderConfig
from models.policy import PolicyConfig
from run_atari import main

pytestmark = pytest.mark.usefixtures("one_thread")


def settings(**others):
    return TrainConfig(
        **{
            "game": "parity",
            "core": CoreConfig(kind="rdn", hidden_size=16, num_heads=2, num_layers=1),
            "encoder": EncoderConfig(kind="mlp", size=16),
            "learner": LearnerConfig(unroll_length=8, batch_size=4),
            "total_frames": 64,
            **others,
        }
    )


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    return train(settings(run_dir=str(tmp_path_factory.mktemp("runs") / "source")))


def weights_of(config):
    trainer = Trainer.begun(config)
    trainer.close()
    return trainer.policy.state_dict(), trainer.origin


def test_a_run_begins_with_every_weight_of_the_policy(source):
    weights, origin = weights_of(settings(seed=9, init_from=str(source)))
    saved = load_policy(source)
    assert all(torch.equal(weights[name], w) for name, w in saved.policy.state_dict().items())
    drawn, _ = weights_of(settings(seed=9))
    assert not all(torch.equal(weights[name], w) for name, w in drawn.items())
    assert origin == {
        "source": str(source),
        "game": "parity",
        "frames": 64,
        "updates": 2,
        "drawn": [],
    }


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_the_first_rollout_is_played_with_them_and_the_run_folder_says_so(source, tmp_path, mode):
    first = {"stop_after_updates": 0}
    config = settings(seed=9, mode=mode, init_from=str(source), run_dir=str(tmp_path / "run"))
    run = train(config, SessionConfig(**first))
    begun, saved = (load_newest(x / "checkpoints")["policy"] for x in (run, source))
    assert all(torch.equal(begun[name], weight) for name, weight in saved.items())
    origin = json.loads((run / "provenance.json").read_text())
    assert origin["init_from"]["source"] == str(source)


def test_another_game_of_the_same_sizes_takes_everything(tmp_path):
    eight = train(settings(game="repeat_previous", run_dir=str(tmp_path / "eight")))
    weights, origin = weights_of(settings(game="control", seed=5, init_from=str(eight)))
    assert origin["drawn"] == []
    assert torch.equal(weights["policy_head.weight"], load_policy(eight).policy.policy_head.weight)


def test_the_heads_begin_anew_where_the_number_of_actions_differs(source):
    trainer = Trainer(settings(seed=9))
    trainer.close()
    policy = make_policy(trainer.config, replace(trainer.spec, num_actions=3))
    drawn = {name: w.clone() for name, w in policy.state_dict().items() if "_head" in name}
    origin = take_weights(policy, trainer.config, source)
    saved, now = load_policy(source).policy.state_dict(), policy.state_dict()
    assert origin["drawn"] == sorted(drawn)
    assert len(drawn) == 4
    for name, weight in now.items():
        assert torch.equal(weight, drawn[name] if name in drawn else saved[name]), name


def test_sizes_that_a_number_of_parameters_came_to_are_those_sizes(source):
    saved = load_policy(source)
    count = sum(p.numel() for p in saved.policy.core.parameters())
    core = replace(saved.config.core, parameters=count)
    weights, _ = weights_of(settings(core=core, init_from=str(source)))
    assert all(torch.equal(weights[name], w) for name, w in saved.policy.state_dict().items())


def test_another_number_of_actions_is_told_where_the_core_sees_them(tmp_path):
    seen = {"policy": PolicyConfig(last_action=True)}
    two = train(settings(run_dir=str(tmp_path / "two"), **seen))
    trainer = Trainer(settings(**seen))
    trainer.close()
    policy = make_policy(trainer.config, replace(trainer.spec, num_actions=3))
    with pytest.raises(ValueError, match="with other actions, the last of which it sees"):
        take_weights(policy, trainer.config, two)


@pytest.mark.parametrize(
    ("others", "message"),
    [
        (
            {"core": CoreConfig(kind="lstm", hidden_size=16, num_layers=1)},
            "has core.kind rdn, not lstm; ",
        ),
        (
            {"core": CoreConfig(kind="rdn", hidden_size=16, num_heads=1, num_layers=1)},
            "has core.num_heads 2, not 1: this run must have the same",
        ),
        ({"game": "tmaze"}, "trained with other observations: encoder.first.weight is "),
        ({"encoder": EncoderConfig(kind="mlp", size=32)}, "has encoder.size 16, not 32: "),
        (
            {"policy": PolicyConfig(last_action=True)},
            "has policy.last_action False, not True: this run must have the same",
        ),
        (
            {"policy": PolicyConfig(centre_features=True)},
            "has policy.centre_features False, not True: this run must have the same",
        ),
        (
            {"policy": PolicyConfig(skip_core=True)},
            "has policy.skip_core False, not True: this run must have the same",
        ),
        ({"init_from": "absent"}, "no checkpoint at absent"),
    ],
    ids=["kind", "heads", "game", "size", "last action", "centred", "skip", "absent"],
)
def test_what_does_not_fit_is_refused(source, tmp_path, others, message):
    config = settings(**{"init_from": str(source), "run_dir": str(tmp_path / "run")} | others)
    with pytest.raises(ValueError, match=message):
        train(config)
    assert not (tmp_path / "run").exists()


def test_a_run_that_was_begun_so_goes_on_without_the_policy(source, tmp_path):
    export_policy(source, tmp_path / "policy.safetensors")
    config = settings(init_from=str(tmp_path / "policy.safetensors"), run_dir=str(tmp_path / "run"))
    run = train(config, SessionConfig(stop_after_updates=1))
    (tmp_path / "policy.safetensors").unlink()
    resume(run)
    assert load_newest(run / "checkpoints")["progress"]["updates"] == 2


def test_the_readmes_command_takes_the_published_policy(tmp_path, monkeypatch):
    root = Path(__file__).parents[1]
    monkeypatch.chdir(root)
    (line,) = (x for x in (root / "README.md").read_text().splitlines() if "--init_from" in x)
    small = ["--learner.batch_size=4", "--scatter_steps=0", "--num_threads=1"]
    run = tmp_path / "run"
    words = [*shlex.split(line)[2:], *small, "--stop_after_updates=0", f"--run_dir={run}"]
    assert main(words) == 0
    origin = json.loads((run / "provenance.json").read_text())["init_from"]
    assert origin["source"] == "results/pong/rdn/seed1"
