"""What is counted of answers, and what it comes to, by hand."""

import math

import numpy as np
import pytest
import torch

from models.sequence_model import Asked
from sequences.config import TaskConfig, make_task
from sequences.packing import NO_SEQUENCE, Batch
from sequences.scores import Tally, tally
from sequences.tasks import NO_ANSWER
from tests.sequence_runs import text_in


@pytest.fixture
def text(tmp_path):
    return text_in(tmp_path / "corpus")


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
