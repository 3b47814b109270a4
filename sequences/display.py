"""What is shown of an evaluation: sequences answered, and how long still."""

from pathlib import Path
from typing import IO, Any

from experiment.live import LiveDisplay, duration, time_left
from sequences.evaluate import EvaluationConfig, evaluate, with_args
from sequences.saved_model import load_model


class AnswersDisplay(LiveDisplay):
    """Shows sequences that are being answered.

    Args:
        title: which task with which core.
        num_sequences: how many there are; None where nobody knows before they are read.
        file: where to; None is standard output.
    """

    def __init__(self, title: str, num_sequences: int | None, file: IO[str] | None = None) -> None:
        super().__init__(file, transient=True)
        self._title, self._num_sequences = title, num_sequences
        self._num_done = 0

    def tell(self, num_done: int) -> None:
        """Takes in how many sequences are answered."""
        self._num_done = num_done
        self.changed()

    def first_line(self) -> str:
        """Says what is asked."""
        many = "all" if self._num_sequences is None else f"{self._num_sequences:,}"
        return f"asking {many} sequences of {self._title}"

    def progress(self) -> tuple[int, int] | None:
        """Returns how many sequences there are, where that is known, and how many are answered."""
        return None if self._num_sequences is None else (self._num_sequences, self._num_done)

    def parts(self) -> list[str]:
        """Says how far it is."""
        parts = [f"{self._num_done:,} answered", f"{duration(self.elapsed)} elapsed"]
        if self._num_sequences is not None and self._num_done:
            left = self._num_sequences - self._num_done
            parts.append(f"{time_left(left, self._num_done / self.elapsed)} left")
        return parts


def evaluate_in_view(source: Path, config: EvaluationConfig, file: IO[str]) -> dict[str, Any]:
    """Returns what `evaluate` does, and shows the answers on the way.

    Args:
        source: run folder or checkpoint.
        config: how.
        file: where to.
    """
    saved = with_args(load_model(source), config.args)  # what is refused says one line
    title = f"{saved.config.task.kind} with {saved.config.core.kind}"
    is_counted = saved.task.answer_bytes is None
    with AnswersDisplay(title, config.examples if is_counted else None, file) as shown:
        return evaluate(saved, config, shown.tell)
