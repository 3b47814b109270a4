"""What is known of one run, whatever it was read from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.impala.config import TrainConfig
from comparison.evaluation_record import Evaluation
from comparison.run_kind import RunKind
from sequences.config import SequenceConfig

Config = TrainConfig | SequenceConfig


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The learning curve of a run, and its end.

    Args:
        done, seconds, scores: [rows] units of training behind a row, seconds of training, and what
            the kind's curve is of, where a row has it.
        is_cut: the last line of the file that they come from is cut short.
        end: numbers of the last whole row, and the kind's best_tag, by tag; empty where there is
            none.
    """

    done: NDArray[np.float64]
    seconds: NDArray[np.float64]
    scores: NDArray[np.float64]
    is_cut: bool
    end: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Args:
        name: its folder, or its file and the place in it.
        kind: what it is a run of.
        task: canonical name.
        config: its settings.
        status: "running", "finished", "stopped" or "failed"; "" of a published run.
        origin: its provenance; empty where none was recorded.
        metrics: learning curve and speed.
        score: its newest evaluation by the settings that make a score, or None.
        others: the same checkpoint's newest evaluations by other settings.
    """

    name: str
    kind: RunKind
    task: str
    config: Config
    status: str
    origin: dict[str, Any]
    metrics: Metrics
    score: Evaluation | None
    others: tuple[Evaluation, ...]

    @property
    def units_per_second(self) -> float | None:
        """Speed of the whole run, None where it is not known."""
        done, seconds = self.metrics.end.get(self.kind.unit), self.metrics.end.get("wall_seconds")
        return done / seconds if done and seconds else None


def evenly_spread(num_rows: int, most: int) -> list[int]:
    """Returns the places of at most so many rows, evenly spread, the first and the last included.

    All of them where there are not more; `most` is at least 2.
    """
    places = np.linspace(0, num_rows - 1, min(num_rows, most))
    return [int(place) for place in places.round()]


def short_number(value: float) -> float | int:
    """Returns a whole number as it is, another to eight digits."""
    short = value if value == int(value) else float(f"{value:.8g}")
    return int(short) if short == int(short) else short
