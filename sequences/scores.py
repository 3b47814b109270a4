"""How right a model's answers are: counts that batches add to, and the shares that they come to."""

import math
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
from torch import Tensor

from models.sequence_model import Asked, SequenceModel
from sequences.packing import Batch
from sequences.tasks import NO_ANSWER, Task


def ask(model: SequenceModel, y: Tensor, answer: Tensor) -> Asked:
    """Asks a model for the answers that count, row by row.

    Args:
        model: whose output layer answers.
        y: [T, B, D] outputs of its core.
        answer: [T, B] int64, NO_ANSWER where none counts.
    """
    counts = answer != NO_ANSWER
    asked: Asked = model.output(y[counts], answer[counts])
    return asked


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """Counts over batches.

    Args:
        sequences: whole ones.
        right_sequences: those of them without a wrong answer.
        answers: that count.
        given: those that are not blank; the others say nothing.
        right_given: of them right.
        nats: sum of -log p over the answers that count.
        num_bytes: of text that the answers stand for.
    """

    sequences: int = 0
    right_sequences: int = 0
    answers: int = 0
    given: int = 0
    right_given: int = 0
    nats: float = 0.0
    num_bytes: int = 0

    def __add__(self, other: Self) -> "Tally":
        return Tally(
            **{f.name: getattr(self, f.name) + getattr(other, f.name) for f in fields(self)}
        )

    def shares(self, task: Task) -> dict[str, float]:
        """Returns what the counts come to, by the name of the measure."""
        if task.answer_bytes is not None:
            return {
                "bits_per_byte": self.nats / math.log(2) / self.num_bytes,
                "nats_per_answer": self.nats / self.answers,
            }
        return {
            "accuracy": self.right_sequences / self.sequences,
            "answer_accuracy": self.right_given / max(1, self.given),
            "nats_per_answer": self.nats / self.answers,
        }


def tally(task: Task, batch: Batch, asked: Asked) -> Tally:
    """Counts one batch; of a text, whose documents may reach over batches, those that begin."""
    counts = batch.answer != NO_ANSWER
    answer, right = batch.answer[counts], asked.right.cpu().numpy()
    given = answer != (NO_ANSWER if task.blank is None else task.blank)
    numbers, index = np.unique(batch.sequence[counts], return_inverse=True)
    wrong = np.bincount(index, ~right, minlength=len(numbers))
    num_bytes = int(task.answer_bytes[answer].sum()) if task.answer_bytes is not None else 0
    is_text = task.answer_bytes is not None
    return Tally(
        sequences=int((batch.start & counts).sum()) if is_text else len(numbers),
        right_sequences=int((wrong == 0).sum()),
        answers=len(answer),
        given=int(given.sum()),
        right_given=int((given & right).sum()),
        nats=-float(asked.log_prob.detach().double().sum()),
        num_bytes=num_bytes,
    )
