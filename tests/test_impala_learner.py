"""One update by the formula, and what every pass over a rollout goes by."""

import dataclasses
from contextlib import closing

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from agents.impala.actor import collect
from agents.impala.loss import impala_loss
from agents.impala.trainer import Trainer
from models.policy import PolicyConfig
from tests.small_runs import CONFIG, LEARNER, output_on, train, weights


def rmsprop_step(gradient, learner):
    mean_square = (1 - learner.rmsprop_decay) * gradient.square()
    return gradient / (mean_square.sqrt() + learner.optimizer_epsilon)


def adam_step(gradient, learner):
    return gradient / (gradient.abs() + learner.optimizer_epsilon)


@pytest.mark.parametrize("max_gradient_norm", [1e3, 0.5])
@pytest.mark.parametrize(("optimizer", "step"), [("rmsprop", rmsprop_step), ("adam", adam_step)])
def test_one_update_is_the_formula_and_the_actor_gets_it(optimizer, step, max_gradient_norm):
    learner = dataclasses.replace(
        LEARNER,
        num_passes=1,
        num_minibatches=1,
        optimizer=optimizer,
        learning_rate=0.1,
        optimizer_epsilon=0.003,
        rmsprop_decay=0.9,
        max_gradient_norm=max_gradient_norm,
    )
    policy = PolicyConfig(last_action=True)
    frames = learner.steps_per_rollout
    trainer = Trainer(
        dataclasses.replace(CONFIG, learner=learner, policy=policy, total_frames=40 * frames)
    )
    trainer.learner.frames = 30 * frames
    rollout = trainer._allocate()
    collect(trainer.crews[0], rollout)
    before = weights(trainer)
    parameters = list(trainer.policy.parameters())
    output = output_on(trainer.policy, rollout)
    loss, _ = impala_loss(output, rollout, learner, learner.entropy_cost)
    gradient = torch.cat([g.flatten() for g in torch.autograd.grad(loss, parameters)])
    norm = gradient.norm()
    assert 0.5 < norm < 1e3
    trainer.learner.learn(rollout)
    clipped = gradient * (max_gradient_norm / norm).clamp(max=1.0)
    expected = before - learner.learning_rate / 4 * step(clipped, learner)
    torch.testing.assert_close(weights(trainer), expected)
    assert trainer.crews[0][0].policy is trainer.policy


@pytest.mark.parametrize("num_minibatches", [1, 2])
def test_every_pass_has_the_values_and_the_policy_of_the_first(monkeypatch, num_minibatches):
    seen = []

    def noting(output, rollout, config, entropy_cost, ranks):
        log_policy = output.logits[:-1].detach().log_softmax(-1)
        log_probs = log_policy.gather(-1, rollout.action[..., None])[..., 0]
        known = torch.cat((rollout.value, rollout.log_prob))
        seen.append((known, torch.cat((output.value.detach(), log_probs))))
        return impala_loss(output, rollout, config, entropy_cost, ranks)

    monkeypatch.setattr("agents.impala.learner.impala_loss", noting)
    batch_size = LEARNER.batch_size
    learner = dataclasses.replace(LEARNER, num_passes=3, num_minibatches=num_minibatches)
    with closing(Trainer(dataclasses.replace(CONFIG, learner=learner))) as trainer:
        rollout = trainer.collect_one()
        for _ in range(2):  # a slot of the queue is used again
            seen.clear()
            trainer.learner.learn(rollout)
            known, estimated = (  # of each pass, environments in the order of their first values
                [x[:, x[0].argsort()] for x in torch.cat(of, 1).split(batch_size, 1)]
                for of in zip(*seen, strict=True)
            )
            assert known[0].isnan().all()
            for later, estimate in zip(known[1:], estimated[1:], strict=True):
                assert torch.equal(later, estimated[0])
                assert not torch.equal(estimate, estimated[0])


def test_step_size_and_entropy_cost_decay_linearly_from_update_to_update(monkeypatch):
    costs, rates = [], []

    def noting(output, rollout, config, entropy_cost, ranks):
        costs.append(float(entropy_cost))
        rates.append(trainer.learner.optimizer.param_groups[0]["lr"])
        return impala_loss(output, rollout, config, entropy_cost, ranks)

    monkeypatch.setattr("agents.impala.learner.impala_loss", noting)
    learner = dataclasses.replace(LEARNER, entropy_cost=0.05, final_entropy_cost=0.01)
    config = dataclasses.replace(CONFIG, learner=learner, total_frames=2 * 36)  # 8 updates
    with closing(Trainer(config)) as trainer:
        train(trainer, 2)
    assert costs == pytest.approx([0.05, 0.045, 0.04, 0.035, 0.03, 0.025, 0.02, 0.015])
    assert rates == pytest.approx([LEARNER.learning_rate * (8 - n) / 8 for n in range(8)])


class Operators(TorchDispatchMode):
    """The names of the operators that ran."""

    def __init__(self):
        super().__init__()
        self.names = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.names.add(function.overloadpacket.__name__)
        return function(*args, **kwargs or {})


@pytest.mark.parametrize("num_passes", [1, 2])
def test_policies_are_kept_to_tell_passes_apart_only_where_there_are_several(num_passes):
    learner = dataclasses.replace(CONFIG.learner, num_passes=num_passes)
    with closing(Trainer(dataclasses.replace(CONFIG, learner=learner))) as trainer:
        rollout = trainer.collect_one()
        with Operators() as ran:
            metrics = trainer.learner.learn(rollout)
    assert ("index_copy_" in ran.names) is (num_passes > 1)
    assert ("policy/first_to_last_pass_kl_nats" in metrics) is (num_passes > 1)
