"""Training on tasks with answers: resumed bit for bit, in ranks, scored by hand, mistakes."""

import io
import json
import math
import pickle
import time
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
import torch

from experiment.checkpoint import load_newest
from experiment.ranks import ALONE
from experiment.session import SessionConfig
from experiment.settings import plain_values
from experiment.training_command import REQUEUE, exit_code
from models.cores import CoreConfig
from models.sequence_model import SequenceModelConfig
from models.size import model_size
from run_sequences import main, show_parser
from sequences.config import (
    BatchConfig,
    LearnerConfig,
    SequenceConfig,
    TaskConfig,
    config_from_values,
    make_task,
    step_size,
)
from sequences.display import AnswersDisplay, evaluate_in_view
from sequences.evaluate import EvaluationConfig, evaluate, with_args
from sequences.packing import NO_SEQUENCE, Batch
from sequences.runs import resume, train
from sequences.saved_model import load_model
from sequences.scores import Asked, Tally, tally
from sequences.tasks import NO_ANSWER, TASKS
from sequences.trainer import SequenceTrainer
from tests.rank_runs import call_in_ranks

TINY = CoreConfig(
    kind="rdn", num_layers=1, hidden_size=8, num_heads=2, feedforward_size=8, kernel="reference"
)
WHOLE = BatchConfig(sequences=8, lanes=4)
CARRIED = BatchConfig(lanes=4, segment_length=7)
LISTOPS = TaskConfig(kind="listops", args={"depth": 2})


@pytest.fixture
def text(tmp_path):
    """A folder of files with text in every split."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    for number in range(80):
        (folder / f"{number}.py").write_text(f"x = {number}\n" * (number % 5 + 1))
    return TaskConfig(kind="text", args={"source": str(folder)})


def settings(task=LISTOPS, batch=WHOLE, total_tokens=2000, dropout=0.2, **others):
    values = {"task": task, "core": TINY, "batch": batch, "num_threads": 1} | others
    config = SequenceConfig(total_tokens=total_tokens, **values)
    model = SequenceModelConfig(embedding_size=8, dropout=dropout, precision="float32")
    return replace(config, model=model)


def saved(run):
    return load_newest(run / "checkpoints")


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


def test_another_device_begins_another_stream_of_dropout(caplog):
    trainer = SequenceTrainer(settings())
    state = trainer.state_dict() | {"generators": [torch.zeros(16, dtype=torch.uint8)]}
    SequenceTrainer.restored(trainer.config, state, trainer.weights())
    assert "dropout draws anew" in caplog.text


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        ("running", 143, 143),
        ("failed", 143, 143),
        ("stopped", 143, REQUEUE),
        ("finished", 143, 0),
        ("stopped", 0, REQUEUE),
        ("finished", 0, 0),
        ("stopped", 1, 1),
    ],
)
def test_a_run_that_a_signal_killed_is_no_success(tmp_path, status, code, expected):
    (tmp_path / "status.json").write_text(json.dumps({"status": status, "why": ""}))
    assert exit_code(code, tmp_path, requeue=True) == expected
    if status == "stopped" and expected == REQUEUE:
        assert exit_code(code, tmp_path, requeue=False) == 0


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


def test_counts_come_to_shares_by_hand():
    task = make_task(TaskConfig(kind="code_execution"))
    blank, five = task.blank, task.answers.index("5")
    batch = Batch(
        token=np.zeros((3, 2), np.int64),
        answer=np.array([[blank, five], [five, NO_ANSWER], [blank, NO_ANSWER]]),
        start=np.array([[True, True], [False, True], [True, False]]),
        sequence=np.array([[0, 1], [0, NO_SEQUENCE], [2, NO_SEQUENCE]]),
    )
    # row by row: blank right, 5 of sequence 1 wrong, 5 of sequence 0 right, blank wrong
    right = torch.tensor([True, False, True, False])
    log_prob = torch.tensor([-1.0, -2.0, -3.0, -4.0])
    found = tally(task, batch, Asked(log_prob, right))
    assert found == Tally(
        sequences=3, right_sequences=1, answers=4, given=2, right_given=1, nats=10.0
    )
    assert (found + found).shares(task) == {
        "accuracy": pytest.approx(1 / 3),
        "answer_accuracy": 0.5,
        "nats_per_answer": 2.5,
    }


def test_bits_per_byte_count_the_bytes_that_answers_stand_for(text):
    task = make_task(text)
    batch = Batch(
        token=np.zeros((2, 1), np.int64),
        answer=np.array([[1], [2]]),
        start=np.array([[True], [False]]),
        sequence=np.zeros((2, 1), np.int64),
    )
    asked = Asked(torch.full((2,), -math.log(8.0)), torch.tensor([True, False]))
    assert tally(task, batch, asked).shares(task)["bits_per_byte"] == pytest.approx(3.0)


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


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A finished run of a few updates."""
    return train(settings(total_tokens=300, run_dir=str(tmp_path_factory.mktemp("runs") / "run")))


def test_evaluate_writes_what_it_prints(run, capsys):
    arguments = ["evaluate", str(run), "--examples", "20", "--args.depth", "3", "--json"]
    assert main(arguments) == 0
    said = capsys.readouterr()
    assert said.err == "asking 20 sequences of listops with rdn\n"
    printed = json.loads(said.out)
    (path,) = (run / "evaluation").glob("*-depth3.json")
    assert json.loads(path.read_text()) == printed
    assert printed["sequences"] == printed["answers"] == 20
    assert printed["task_args"]["depth"] == 3
    assert printed["settings"]["args"] == {"depth": 3}


def test_runs_and_results_say_what_computed_them_by_the_same_names(run):
    used = SequenceTrainer(settings(device="cpu")).arithmetic
    assert used == {"device": "cpu", "dense_precision": "float32", "core_kernel": "reference"}
    result = evaluate(run, EvaluationConfig(examples=2))
    assert result["arithmetic"].keys() == used.keys()
    assert result["size"] == model_size(load_model(run).model)


def test_an_evaluation_says_how_far_it_is(capsys):
    with AnswersDisplay("listops with rdn", 40) as shown:
        shown._began = time.monotonic() - 5.0
        shown._last_line = -1e9
        shown.tell(10)
    line = capsys.readouterr().out.splitlines()[1]
    assert line == "10 answered  0:00:05 elapsed  0:00:15 left"


def test_an_evaluation_does_not_depend_on_how_sequences_are_packed(run):
    model = load_model(run)
    config = EvaluationConfig(examples=30)
    padded = replace(model, config=replace(model.config, batch=BatchConfig(sequences=10, lanes=10)))
    from sequences.evaluate import answer

    device = torch.device("cpu")
    one, other = (answer(of, config, device, None) for of in (model, padded))
    assert (one.right_sequences, one.answers) == (other.right_sequences, other.answers)
    assert one.nats == pytest.approx(other.nats, rel=1e-5)


def test_a_model_of_another_vocabulary_is_refused(tmp_path):
    config = settings(
        TaskConfig(kind="formal", args={"language": "parity"}),
        total_tokens=100,
        run_dir=str(tmp_path / "run"),
    )
    model = load_model(train(config))
    assert with_args(model, {"max_length": 80}).config.task.args["max_length"] == 80
    with pytest.raises(ValueError, match="of another vocabulary"):
        with_args(model, {"language": "dyck_1"})


def test_a_task_is_made_once_as_it_was_trained_and_once_as_it_is_asked_for(run, monkeypatch):
    made = []

    def make(task):
        made.append(task.args["depth"])
        return make_task(task)

    for module in ("sequences.saved_model", "sequences.evaluate"):
        monkeypatch.setattr(f"{module}.make_task", make)
    evaluate_in_view(run, EvaluationConfig(examples=2, args={"depth": 2}), io.StringIO())
    assert made == [2]
    made.clear()
    evaluate_in_view(run, EvaluationConfig(examples=2, args={"depth": 3}), io.StringIO())
    assert made == [2, 3]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "text", "--task.args.source", "/nowhere"], "no folder /nowhere"),
        (["show", "listops", "--task.args.value_probability", "1.0"], "cannot be drawn"),
        (["show", "listopps"], "unknown task 'listopps'"),
        (["train", "--task.kind", "formal", "--task.args.max_length", "0"], "need 1 <= min_length"),
        (["train", "--model.precision", "half"], "precision"),
        (["evaluate", "/nowhere"], "no checkpoint at /nowhere"),
        (["watch", "/nowhere"], "no checkpoint at /nowhere"),
        (["compare", "/nowhere"], "/nowhere is no folder"),
    ],
)
def test_a_mistake_is_one_line_and_exit_code_2(capsys, arguments, message):
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("error: ")
    assert message in line


def test_a_text_that_has_become_another_has_another_vocabulary(tmp_path, text, capsys):
    args = text.args | {"unit": "byte_pairs", "vocabulary_size": 260}
    config = settings(
        replace(text, args=args), CARRIED, total_tokens=50, run_dir=str(tmp_path / "run")
    )
    run = train(config)
    for file in (tmp_path / "corpus").iterdir():
        file.write_text("lambda lambda lambda\n")
    with pytest.raises(ValueError, match=r"run is of another vocabulary .*which has 261 tokens"):
        load_model(run)


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
def test_a_checkpoint_that_no_run_can_go_on_from_is_refused(run, damage, message):
    payload = saved(run)
    check = SequenceTrainer.state_check(config_from_values(payload["config"]))
    check.check(payload, {})
    damage(payload["trainable"])
    with pytest.raises(ValueError, match=message):
        check.check(payload, {})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("train --task.kind listop", "unknown task 'listop'"),
        ("train --task.kind text --task.args.source nowhere", "no folder nowhere"),
        ("train --task.kind text --task.args.source empty", "no text for train in the 0 files"),
        (
            "train --task.kind listops --task.args.value_probability 1.0",
            "a tree of depth 10 cannot be drawn",
        ),
        ("train --task.kind listops --task.args.dept 3", "close: task.args.depth"),
        (
            "train --task.kind listops --batch.segment_length 8",
            "listops is read in whole sequences: leave it null",
        ),
        (
            "train --task.kind listops --batch.lanes 100",
            "batch.lanes must be at most batch.sequences, 64, got 100",
        ),
        (
            "train --task.kind listops --batch.lanes 3 --processes 2",
            "must be a multiple of the number of processes",
        ),
        ("train", "alone this would train listops lstm for"),
        ("evaluate nowhere", "nowhere"),
        ("show listops --split tset", "split must be one of train, validation, test, got tset"),
        ("show listops --examples -1", "examples must be >= 1, got -1"),
        ("show listops --seed -1", "seed must be >= 0, got -1"),
        ("shwo listops", "close: show"),
    ],
)
def test_a_mistake_is_one_line(arguments, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    assert main(arguments.split()) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(("options", "count"), [([], 3), (["--examples", "2"], 2)])
def test_show_prints_examples_with_their_answers(capsys, options, count):
    assert main(["show", "listops", "--task.args.depth", "1", *options]) == 0
    lines = capsys.readouterr().out.strip().split("\n\n")
    assert len(lines) == count
    assert all("->" in line for line in lines)


def test_the_help_of_show_names_every_task(monkeypatch):
    monkeypatch.setitem(TASKS, "riddles", TASKS["formal"])
    assert f"{', '.join(TASKS)} (required" in " ".join(show_parser().format_help().split())


def test_a_text_that_reaches_over_batches_is_counted_by_its_documents(text, tmp_path):
    run = train(settings(text, CARRIED, total_tokens=100, run_dir=str(tmp_path / "run")))
    documents = make_task(text).num_examples["validation"]
    assert evaluate(run, EvaluationConfig(split="validation"))["sequences"] == documents
    with pytest.raises(ValueError, match="train split of a text has no end"):
        evaluate(run, EvaluationConfig(split="train"))
