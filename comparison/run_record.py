"""What is known of one run, whatever it was read from."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agents.impala.config import TrainConfig
from comparison.evaluation_record import Evaluation

RETURN_TAG = "return/last_100_games_points"
BEST_TAG = "return/best_last_100_games_points"
"""The highest value that RETURN_TAG had: POPGym's MMER, maximum over training of mean return."""
END_TAGS = (
    "frames",
    "updates",
    "wall_seconds",
    "memory/peak_bytes",
    "share/env",
    "share/inference",
    "share/learner",
    "share/core",
    "share/acting_core",  # of published runs: the part of inference in core and heads
)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """The learning curve of a run, and its end.

    Args:
        frames, seconds, returns: [rows] emulator frames, seconds of training, and mean return of
            the last 100 games, where games had ended.
        is_cut: the last line of the file that they come from is cut short.
        end: numbers of the last whole row, and BEST_TAG, by tag; empty where there is none.
    """

    frames: NDArray[np.float64]
    seconds: NDArray[np.float64]
    returns: NDArray[np.float64]
    is_cut: bool
    end: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class RunRecord:
    """One run.

    Args:
        name: its folder, or its file and the place in it.
        game: canonical name.
        config: its settings.
        status: "running", "finished", "stopped" or "failed"; "" of a published run.
        origin: its provenance; empty where none was recorded.
        metrics: learning curve and speed.
        score: its newest evaluation by the settings that make a score, or None.
        others: the same checkpoint's newest evaluations by other settings.
    """

    name: str
    game: str
    config: TrainConfig
    status: str
    origin: dict[str, Any]
    metrics: Metrics
    score: Evaluation | None
    others: tuple[Evaluation, ...]

    @property
    def frames_per_second(self) -> float | None:
        """Speed of the whole run, None where it is not known."""
        frames, seconds = self.metrics.end.get("frames"), self.metrics.end.get("wall_seconds")
        return frames / seconds if frames and seconds else None


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
