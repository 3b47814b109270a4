"""Films of models that read sequences: what a frame says is what the model says."""

from dataclasses import replace

import imageio_ffmpeg
import numpy as np
import pytest
import torch

from models.cores import FastNet
from sequences.config import config_from_values
from sequences.evaluate import EvaluationConfig, evaluate
from sequences.runs import train
from sequences.saved_model import load_model
from sequences.tasks import NO_ANSWER, find_example
from watch.config import FilmConfig
from watch.sequence_film import log_of, moments, watch_sequences
from watch.sequence_picture import TOP, SequencePicture

KINDS = ("lstm", "rdn", "transformer")


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    for kind in KINDS:
        values = {
            "task": {"kind": "code_execution", "args": {"num_statements": 3}},
            "model": {"embedding_size": 8, "precision": "float32"},
            "core": {"kind": kind, "hidden_size": 8, "num_heads": 2, "feedforward_size": 8},
            "batch": {"sequences": 2, "lanes": 2},
            "total_tokens": 60,
            "run_dir": str(folder / kind),
        }
        train(config_from_values(values))
    return folder


@pytest.mark.parametrize("kind", ["lstm", "rdn"])
def test_a_film_has_a_frame_per_token(runs, tmp_path, kind):
    out = tmp_path / "film.mp4"
    assert watch_sequences(runs / kind, FilmConfig(episodes=1, out=out)) == out
    task = load_model(runs / kind).task
    num_tokens = len(find_example(task, "test", 0, 0).tokens)
    reader = imageio_ffmpeg.read_frames(str(out))
    assert next(reader)["size"] == (1280, 720)
    assert sum(1 for _ in reader) == num_tokens


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_filmed_token_by_token_is_what_the_model_says_of_the_whole(runs, kind):
    saved = load_model(runs / kind)
    filmed = list(moments(saved, FilmConfig(episodes=1)))
    example = find_example(saved.task, "test", 0, 0)
    token = torch.from_numpy(example.tokens)[:, None]
    start = torch.zeros(token.shape, dtype=torch.bool)
    start[0] = True
    with torch.inference_mode():
        y, _ = saved.model(token, saved.model.initial_state(1), start)
        wanted = saved.model.output.linear(y[:, 0]).softmax(-1).numpy()
    assert [m.action for m in filmed] == wanted.argmax(-1).tolist()
    np.testing.assert_allclose([m.probabilities for m in filmed], wanted, rtol=1e-4, atol=1e-6)
    costs = -np.log(wanted[np.arange(len(wanted)), example.answers])
    np.testing.assert_allclose([m.value for m in filmed], costs, rtol=1e-3)


def test_a_core_is_listened_to_once_however_many_sequences_are_filmed(runs):
    saved = load_model(runs / "rdn")
    fast_nets = [module for module in saved.model.modules() if isinstance(module, FastNet)]
    list(moments(saved, FilmConfig(episodes=3)))
    assert [len(net._forward_hooks) for net in fast_nets] == [1] * len(fast_nets)


def test_the_captions_count_as_evaluate_does(runs):
    saved = load_model(runs / "lstm")
    saved.model.output.linear.bias.data[saved.task.blank] = 9.0  # right where nothing is printed
    filmed = list(moments(saved, FilmConfig(episodes=1)))
    result = evaluate(saved, EvaluationConfig(examples=1))
    right, _, asked, _ = filmed[-1].caption.split("   ")[-1].split()
    assert int(asked) == result["answers"]
    answers = find_example(saved.task, "test", 0, 0).answers
    given = [moment.action for moment in filmed]
    assert int(right) == sum(a == g for a, g in zip(answers, given, strict=True) if a != NO_ANSWER)
    assert 0 < int(right) < int(asked)


def test_a_wrong_answer_looks_unlike_a_right_one_and_unlike_none(runs):
    task = replace(load_model(runs / "lstm").task, blank=None)
    pictures = [SequencePicture(task).draw(0, 1, wanted) for wanted in (1, 2, NO_ANSWER)]
    for i, picture in enumerate(pictures):
        assert picture.shape == (630, 480, 3)
        assert not any(np.array_equal(picture, other) for other in pictures[:i])


def test_of_a_long_sequence_the_last_tokens_are_on_the_tape(runs):
    def last_frame(wanted):
        drawing = SequencePicture(load_model(runs / "lstm").task)
        for _ in range(79):
            drawing.draw(0, 1, 1)
        return drawing.draw(0, 1, wanted)

    right, wrong = last_frame(1), last_frame(2)
    assert right.shape == (630, 480, 3)
    assert (right[TOP:] != wrong[TOP:]).any()


def test_a_folder_without_a_model_is_named_before_a_film_is_begun(tmp_path):
    with pytest.raises(ValueError, match="no usable checkpoint"):
        watch_sequences(tmp_path, FilmConfig())
    with pytest.raises(ValueError, match=r"out must end in \.mp4 or \.gif"):
        watch_sequences(tmp_path, FilmConfig(out=tmp_path / "film.avi"))
    assert not list(tmp_path.iterdir())


def test_a_film_without_a_place_that_another_one_overtook_takes_the_next_name(runs, monkeypatch):
    run = runs / "lstm"
    name = f"{load_model(run).updates:012d}-5"
    taken = run / "videos" / f"{name}.mp4"

    def draw(*_):
        taken.write_text("first")
        return np.zeros((720, 1280, 3), np.uint8)

    monkeypatch.setattr("watch.dashboard.Dashboard.draw", draw)
    path = watch_sequences(run, FilmConfig(seed=5, max_steps=1))
    assert path == run / "videos" / f"{name}-2.mp4"
    assert taken.read_text() == "first"
    assert path.stat().st_size > 0


def test_a_model_that_says_nan_ends_a_film_in_one_clear_line(runs):
    saved = load_model(runs / "lstm")
    saved.model.output.linear.bias.data.fill_(np.nan)
    with pytest.raises(ValueError, match=r"^sequence 1   token 1 .*: probabilities is nan, which"):
        next(moments(saved, FilmConfig()))


def test_a_probability_that_is_too_small_to_hold_has_a_height_in_the_curve():
    assert -90 < log_of(np.float32(0)) < -80
    assert log_of(np.float32(0.5)) == pytest.approx(np.log(0.5))
