"""A loss, gradient or weight that is not finite: stopped before it spoils anything, or counted."""

import dataclasses
import json

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from agents.impala.actor import collect
from agents.impala.config import LearnerConfig, TrainConfig
from agents.impala.learner import Learner
from agents.impala.trainer import Trainer
from agents.runs import resume, train
from envs import EnvConfig
from experiment.checkpoint import load_checkpoint, load_newest
from experiment.failure import RunFailed
from experiment.metrics import read_metrics
from experiment.nonfinite import NonFiniteUpdate
from experiment.session import SessionConfig
from models.cores import CoreConfig
from models.encoders import EncoderConfig

CONFIG = TrainConfig(
    game="tmaze",
    env=EnvConfig(length=3),
    core=CoreConfig(kind="rdn", hidden_size=8, num_heads=2, num_layers=1, feedforward_size=8),
    encoder=EncoderConfig(kind="mlp"),
    learner=LearnerConfig(unroll_length=5, batch_size=4, num_passes=2),
    total_frames=200,
    log_interval_seconds=0,
    checkpoint_interval_seconds=0,
    num_threads=1,
)
SKIPPING = dataclasses.replace(CONFIG.learner, skip_nonfinite=True)


@pytest.fixture(autouse=True, params=[True, False], ids=["checked every update", "checked once"])
def checks_every_update(request, monkeypatch):
    """Both ways to find out, whichever suits this machine's device."""
    asked = property(lambda learner: request.param, lambda learner, default: None)
    monkeypatch.setattr(Learner, "checks_every_update", asked, raising=False)
    return request.param


def weights(policy):
    return torch.cat([p.detach().flatten().clone() for p in policy.parameters()])


def collected(config=CONFIG):
    trainer = Trainer(config)
    rollout = trainer._allocate()
    collect(trainer.crews[0], rollout)
    return trainer, rollout


@pytest.mark.parametrize("value", [torch.nan, torch.inf])
def test_a_loss_that_is_not_finite_leaves_the_weights_as_they_were(value):
    trainer, rollout = collected()
    before = weights(trainer.policy)
    rollout.discount.fill_(value)
    with pytest.raises(NonFiniteUpdate, match=r"loss/total is .* at update 0; try another run"):
        trainer.learner.learn(rollout)
    assert torch.equal(weights(trainer.policy), before)
    assert not trainer.learner.optimizer.state


def test_a_gradient_that_is_not_finite_leaves_the_weights_as_they_were():
    trainer, rollout = collected()
    before = weights(trainer.policy)
    parameter = next(trainer.policy.parameters())
    parameter.register_hook(lambda gradient: gradient * torch.inf)
    with pytest.raises(NonFiniteUpdate, match=r"loss/gradient_norm is (nan|inf)"):
        trainer.learner.learn(rollout)
    assert torch.equal(weights(trainer.policy), before)


def test_a_weight_that_is_not_finite_is_neither_published_nor_saved():
    once = dataclasses.replace(CONFIG.learner, num_passes=1)
    trainer, rollout = collected(dataclasses.replace(CONFIG, learner=once))

    def step():
        with torch.no_grad():
            trainer.policy.value_head.bias.fill_(torch.inf)

    trainer.learner.optimizer.step = step
    with pytest.raises(NonFiniteUpdate, match="the norm of the weights is inf at update 0") as met:
        trainer.learner.learn(rollout)
    assert "skip_nonfinite" not in str(met.value)  # which cannot help


def test_skipped_updates_change_nothing_but_their_count():
    trainer, rollout = collected(dataclasses.replace(CONFIG, learner=SKIPPING))
    before = weights(trainer.policy)
    rollout.behaviour_log_prob.fill_(torch.nan)
    metrics = trainer.learner.learn(rollout)
    assert torch.equal(weights(trainer.policy), before)
    assert metrics["learner/skipped_updates"] == trainer.learner.version == 2
    again = Trainer(trainer.config)
    again.load_state_dict(trainer.state_dict(), trainer.weights())
    assert again.learner.skipped_updates == 2


def spoil_update(monkeypatch, number):
    update = Learner._update

    def spoilt(learner, rollout, columns, **options):
        if learner.version == number:
            rollout.behaviour_log_prob.fill_(torch.nan)
        return update(learner, rollout, columns, **options)

    monkeypatch.setattr(Learner, "_update", spoilt)


@pytest.mark.parametrize("lost", [MemoryError(), ValueError("4 GiB"), OSError("full")])
def test_a_batch_that_cannot_be_saved_hides_no_cause(tmp_path, monkeypatch, lost):
    def save(*_):
        raise lost

    spoil_update(monkeypatch, 2)
    monkeypatch.setattr("experiment.record.save_checkpoint", save)
    cause = "loss/total is nan at update 2.*its batch could not be saved"
    with pytest.raises(RunFailed, match=cause):
        train(dataclasses.replace(CONFIG, run_dir=str(tmp_path / "run")))
    status = json.loads((tmp_path / "run/status.json").read_text())
    assert status["status"] == "failed"


@pytest.mark.parametrize("mode", ["serial", "async"])
def test_a_run_stops_with_its_batch_and_its_last_good_checkpoint(tmp_path, monkeypatch, mode):
    config = dataclasses.replace(CONFIG, mode=mode, run_dir=str(tmp_path / "run"))
    update = Learner._update
    spoil_update(monkeypatch, 6)
    with pytest.raises(RunFailed) as failed:
        train(config)
    run, message = tmp_path / "run", str(failed.value)
    assert "\n" not in message
    for part in ("loss/total is nan at update 6", "nonfinite/000000000006.safetensors", "--resume"):
        assert part in message
    status = json.loads((run / "status.json").read_text())
    assert status["status"] == "failed"
    assert "loss/total is nan at update 6" in status["why"]
    dumped = load_checkpoint(run / "nonfinite/000000000006.safetensors")
    assert dumped["batch"]["behaviour_log_prob"].isnan().all()
    assert all(w.isfinite().all() for w in dumped["policy"].values())
    assert load_newest(run / "checkpoints")["progress"]["updates"] == 6
    first = (run / "nonfinite/000000000006.safetensors").read_bytes()
    with pytest.raises(RunFailed, match=r"nonfinite/000000000006-2\.safetensors"):
        resume(run)
    assert (run / "nonfinite/000000000006.safetensors").read_bytes() == first
    monkeypatch.setattr(Learner, "_update", update)
    resume(run, SessionConfig())  # the cause is mended
    assert json.loads((run / "status.json").read_text())["status"] == "finished"


def test_a_skipped_update_is_a_row_of_standard_json(tmp_path, monkeypatch):
    spoil_update(monkeypatch, 6)
    run = train(dataclasses.replace(CONFIG, learner=SKIPPING, run_dir=str(tmp_path / "run")))
    rows = read_metrics(run / "metrics.jsonl")
    assert [row["learner/skipped_updates"] for row in rows] == [0] * 3 + [2] * 7  # both passes
    assert [row["loss/total"] is None for row in rows].index(True) == 3


class Asked(TorchDispatchMode):
    """Names the operators for which Python would have to wait for a GPU."""

    WAITING = ("aten._local_scalar_dense", "aten.nonzero", "aten.equal", "aten.is_nonzero")

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if str(func).startswith(self.WAITING):
            self.names.append(str(func))
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("optimizer", ["adam", "rmsprop"])
def test_nothing_is_asked_of_the_device_until_all_updates_are_made(optimizer, checks_every_update):
    learner = dataclasses.replace(
        CONFIG.learner, num_minibatches=2, optimizer=optimizer, normalise_advantages=True
    )
    trainer, rollout = collected(dataclasses.replace(CONFIG, learner=learner))
    with Asked() as asked:
        trainer.learner.learn(rollout)
    num_updates = trainer.learner.version
    assert num_updates == 4
    assert len(asked.names) == (2 * num_updates if checks_every_update else 0), asked.names


def test_when_to_check_changes_no_bit(monkeypatch, checks_every_update):
    trainer, rollout = collected()
    metrics = trainer.learner.learn(rollout)
    asked = property(lambda learner: not checks_every_update, lambda learner, default: None)
    monkeypatch.setattr(Learner, "checks_every_update", asked)
    other, same_rollout = collected()
    assert other.learner.learn(same_rollout) == metrics
    assert torch.equal(weights(other.policy), weights(trainer.policy))
