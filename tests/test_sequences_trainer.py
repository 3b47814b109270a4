"""Training on tasks with answers: resumed bit for bit, in ranks, by the formula."""

import math
import pickle
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from experiment.ranks import ALONE
from experiment.session import SessionConfig
from experiment.settings import plain_values
from sequences.config import BatchConfig, LearnerConfig, TaskConfig, config_from_values, step_size
from sequences.evaluate import EvaluationConfig, evaluate
from sequences.runs import resume, train
from sequences.trainer import SequenceTrainer
from tests.rank_runs import call_in_ranks
from tests.sequence_runs import CARRIED, LISTOPS, TINY, WHOLE, saved, settings, text_in


@pytest.fixture
def text(tmp_path):
    return text_in(tmp_path / "corpus")


@pytest.mark.parametrize("batch", [WHOLE, CARRIED], ids=["whole", "segments"])
def test_a_run_that_was_stopped_ends_as_one_that_was_not(batch, tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    task = LISTOPS if batch is WHOLE else text
    config = settings(task, batch, total_tokens=400)
    through = saved(train(config))
    first = SessionConfig(stop_after_updates=2)
    path = train(replace(config, run_dir="stopped"), first)
    assert saved(path)["progress"]["updates"] == 2
    resumed = saved(resume(path))
    assert resumed["progress"] == through["progress"]
    assert through["progress"]["updates"] > 4
    for name, weight in through["policy"].items():
        assert torch.equal(weight, resumed["policy"][name]), name
    for own, other in zip(
        through["trainable"]["core_state"], resumed["trainable"]["core_state"], strict=True
    ):
        assert torch.equal(own, other)
        assert bool(own.any()) == (batch is CARRIED)


def learned(ranks, values, num_updates, saved=None):
    """Returns metrics, weights, and what another trainer needs to go on."""
    torch.set_default_dtype(torch.float64)
    config = config_from_values(values)
    if saved is None:
        trainer = SequenceTrainer(config, ranks=ranks)
    else:
        trainer = SequenceTrainer.restored(config, *pickle.loads(saved), ranks=ranks)
    rows = list(islice(trainer.rows(), num_updates))
    state = pickle.dumps((trainer.state_dict(), trainer.weights()))
    torch.set_default_dtype(torch.float32)
    return rows, {name: weight.numpy() for name, weight in trainer.weights().items()}, state


def test_a_softmax_of_clusters_that_no_answer_hits_goes_on_too(tmp_path, text, monkeypatch):
    monkeypatch.chdir(tmp_path)
    config = settings(text, CARRIED, total_tokens=300)
    config = replace(config, model=replace(config.model, cutoffs=(200,)))
    through = saved(train(config))
    path = train(replace(config, run_dir="stopped"), SessionConfig(stop_after_updates=1))
    resumed = saved(resume(path))
    for name, weight in through["policy"].items():
        assert torch.equal(weight, resumed["policy"][name]), name


def test_an_update_is_adams_formula_at_the_step_size_of_the_moment():
    learner = LearnerConfig(
        learning_rate=0.1,
        warmup_tokens=0,
        anneal="linear",
        adam_epsilon=0.01,
        max_gradient_norm=0.05,
    )
    trainer = SequenceTrainer(settings(learner=learner, dropout=0.0, total_tokens=4000))
    trainer._tokens = 3000
    parameters = list(trainer.model.parameters())
    before = [p.detach().clone() for p in parameters]
    row = next(trainer.rows())
    assert row["learner/learning_rate"] == pytest.approx(0.1 / 4)
    assert row["loss/gradient_norm"] > 2 * learner.max_gradient_norm
    norm = torch.cat([p.grad.flatten() for p in parameters]).norm().item()
    assert norm == pytest.approx(learner.max_gradient_norm, rel=1e-3)
    for parameter, old in zip(parameters, before, strict=True):
        step = parameter.grad / (parameter.grad.abs() + learner.adam_epsilon)
        torch.testing.assert_close(parameter, old - 0.1 / 4 * step)


@pytest.mark.parametrize("carried", [False, True])
def test_a_state_is_carried_to_the_next_segment_where_it_is_asked_for(text, carried):
    trainer = SequenceTrainer(settings(text, replace(CARRIED, carry_state=carried)))
    rows = trainer.rows()
    for _ in range(3):
        next(rows)
    assert any(bool(tensor.any()) for tensor in trainer.state_dict()["core_state"]) is carried


def test_a_core_is_brought_to_a_number_of_parameters():
    core = replace(TINY, parameters=5000, hidden_size=None, feedforward_size=None)
    trainer = SequenceTrainer(settings(core=core))
    assert sum(p.numel() for p in trainer.model.core.parameters()) == pytest.approx(5000, rel=0.05)


def test_another_text_is_not_gone_on_with(tmp_path, text):
    path = train(
        settings(text, CARRIED, run_dir=str(tmp_path / "run")), SessionConfig(stop_after_updates=2)
    )
    (tmp_path / "corpus" / "0.py").write_text("y = 1\n")
    with pytest.raises(ValueError, match="the text is another one now"):
        resume(path)


def test_what_goes_around_the_core_is_dropped_in_texts_alone(tmp_path):
    """As in the 2021 code: its language models drop there, its algorithmic ones do not."""
    text = SequenceTrainer(settings(text_in(tmp_path / "text"), CARRIED))
    assert text.model.dropout.p == 0.2
    assert SequenceTrainer(settings()).model.dropout.p == 0.0


def test_another_device_begins_another_stream_of_dropout(caplog):
    trainer = SequenceTrainer(settings())
    state = trainer.state_dict() | {"generators": [torch.zeros(16, dtype=torch.uint8)]}
    SequenceTrainer.restored(trainer.config, state, trainer.weights())
    assert "dropout draws anew" in caplog.text


@pytest.mark.parametrize(
    "batch",
    [pytest.param(WHOLE, id="whole", marks=pytest.mark.slow), pytest.param(CARRIED, id="segments")],
)
def test_two_ranks_learn_what_one_does_and_either_goes_on(batch, text):
    task = LISTOPS if batch is WHOLE else text
    values = plain_values(settings(task, batch, dropout=0.0))
    rows, weights, _ = learned(ALONE, values, 4)
    half = call_in_ranks(2, learned, values, 2)[0][-1]
    ended = [*call_in_ranks(2, learned, values, 4), *call_in_ranks(2, learned, values, 2, half)]
    ended.append(learned(ALONE, values, 2, half))
    for of_rank, of_weights, _ in ended:
        for name, weight in weights.items():
            np.testing.assert_allclose(of_weights[name], weight, rtol=0, atol=1e-9)
        for row, other in zip(rows[-len(of_rank) :], of_rank, strict=True):
            assert other == pytest.approx(row, abs=1e-9)


def test_the_step_size_rises_and_falls_as_it_says():
    learner = LearnerConfig(learning_rate=1.0, warmup_tokens=10, anneal="cosine")
    assert step_size(learner, 4, 100) == pytest.approx(0.5 * (1 + math.cos(math.pi * 0.04)) / 2)
    assert step_size(learner, 50, 100) == pytest.approx(0.5)
    assert step_size(learner, 100, 100) == pytest.approx(0.0)
    assert step_size(replace(learner, anneal="linear"), 75, 100) == 0.25
    assert step_size(replace(learner, anneal="none"), 75, 100) == 1.0


@pytest.mark.learning
def test_a_small_core_learns_lists_of_one_depth(tmp_path):
    core = replace(TINY, kind="lstm", hidden_size=32, num_heads=None, feedforward_size=None)
    config = settings(
        TaskConfig(kind="listops", args={"depth": 1, "max_arguments": 2}),
        BatchConfig(sequences=64, lanes=16),
        total_tokens=120_000,
        dropout=0.0,
        core=replace(core, kernel="auto"),
        learner=LearnerConfig(learning_rate=1e-2),
        run_dir=str(tmp_path / "run"),
    )
    result = evaluate(train(config), EvaluationConfig(examples=300))
    assert result["accuracy"] > 0.9  # chance is 0.1
    assert result["answers"] == 300


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda state: state.update(tokens=-1), "trainable.tokens must be in 0"),
        (lambda state: state["stream"].update(next="x"), "trainable.stream.next must be int"),
        (lambda state: state["core_state"].pop(), "trainable.core_state must hold"),
        (lambda state: state["optimizer"].pop(), "trainable.optimizer must hold"),
        (lambda state: state["generators"].append(torch.zeros(3)), "no state of a random stream"),
    ],
)
def test_a_checkpoint_that_no_run_can_go_on_from_is_refused(damage, message, tmp_path):
    payload = saved(train(settings(total_tokens=100, run_dir=str(tmp_path / "run"))))
    check = SequenceTrainer.state_check(config_from_values(payload["config"]))
    check.check(payload, {})
    damage(payload["trainable"])
    with pytest.raises(ValueError, match=message):
        check.check(payload, {})
