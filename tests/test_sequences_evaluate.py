"""Evaluating a saved model: what is asked, what is carried, and what is written."""

import io
import json
import time
from dataclasses import replace

import pytest
import torch

from models.size import model_size
from run_sequences import main
from sequences.config import BatchConfig, TaskConfig, make_task
from sequences.display import AnswersDisplay, evaluate_in_view
from sequences.evaluate import EvaluationConfig, answer, evaluate, with_args
from sequences.runs import train
from sequences.saved_model import load_model
from sequences.tasks import NO_ANSWER, examples
from sequences.trainer import SequenceTrainer
from tests.sequence_runs import CARRIED, settings, text_in


@pytest.fixture
def text(tmp_path):
    return text_in(tmp_path / "corpus")


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


def test_a_text_that_has_become_another_is_said_and_recorded(tmp_path, text, caplog):
    run = train(settings(text, CARRIED, total_tokens=50, run_dir=str(tmp_path / "run")))
    before = evaluate(run, EvaluationConfig())["source_hash"]
    assert "another text" not in caplog.text
    next((tmp_path / "corpus").iterdir()).write_text("y = 1\n")
    after = evaluate(run, EvaluationConfig())["source_hash"]
    assert f"{run} learned from another text than the one that is there now" in caplog.text
    assert len(before) == 64
    assert after != before


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


@torch.inference_mode()
def nats_of_whole_documents(saved):
    """Returns -log p of all that is asked in the test split, each document read by itself."""
    total = 0.0
    for example in examples(saved.task, "test", 0):
        token, wanted = torch.from_numpy(example.tokens), torch.from_numpy(example.answers)
        start = torch.arange(len(token))[:, None] == 0
        y, _ = saved.model(token[:, None], saved.model.initial_state(1), start)
        log_prob = saved.model.output.linear(y[:, 0]).log_softmax(-1)
        asked = wanted != NO_ANSWER
        total -= log_prob[asked, wanted[asked]].sum().item()
    return total


def test_a_state_is_carried_over_the_segments_of_a_document_or_not(text, tmp_path):
    saved = load_model(train(settings(text, CARRIED, run_dir=str(tmp_path / "run"))))
    saved.model.output.linear.weight.data *= 10  # so that what is remembered makes a difference
    device, longest = torch.device("cpu"), replace(CARRIED, segment_length=4000)
    in_one = replace(saved, config=replace(saved.config, batch=longest))

    def nats(saved, context):
        return answer(saved, EvaluationConfig(context=context), device, None).nats

    whole = nats_of_whole_documents(saved)
    assert nats(saved, "carried") == pytest.approx(whole, rel=1e-5)
    assert nats(in_one, "reset") == pytest.approx(whole, rel=1e-5)
    assert abs(nats(saved, "reset") - whole) > 1e-4 * whole


def test_a_text_that_reaches_over_batches_is_counted_by_its_documents(text, tmp_path):
    run = train(settings(text, CARRIED, total_tokens=100, run_dir=str(tmp_path / "run")))
    documents = make_task(text).num_examples["validation"]
    assert evaluate(run, EvaluationConfig(split="validation"))["sequences"] == documents
    with pytest.raises(ValueError, match="train split of a text has no end"):
        evaluate(run, EvaluationConfig(split="train"))


def test_whole_sequences_have_no_state_to_reset(tmp_path):
    run = train(settings(total_tokens=100, run_dir=str(tmp_path / "run")))
    with pytest.raises(ValueError, match="context reset is for texts; listops is read in whole"):
        evaluate(run, EvaluationConfig(context="reset"))
