"""From rollouts to rows of metrics: means since the last row, games, speed, shares of time."""

import time
from collections import deque
from typing import Any

from agents.impala.trainer import PARTS, Trainer
from experiment.memory import peak_memory_bytes

GAMES_IN_MEAN = 100
NEWEST = ("learner/learning_rate", "learner/skipped_updates")
WAITS = {
    "queue/actor_wait_seconds": "queue/actor_wait_share",
    "queue/learner_wait_seconds": "queue/learner_wait_share",
}
"""What a trainer says of waiting, in seconds so far, and the tag of its share of the time."""


class RunningReport:
    """Gathers what happened since the last row; survives a resume."""

    def __init__(self) -> None:
        self.seconds = 0.0  # of training, over all sessions
        self._recent: deque[float] = deque(maxlen=GAMES_IN_MEAN)
        self._rows: list[dict[str, float]] = []
        self._games: list[tuple[float, int]] = []
        self._since = time.monotonic()
        self._frames: int | None = None
        self._waited = dict.fromkeys(WAITS, 0.0)  # seconds, up to the last row

    @property
    def is_pending(self) -> bool:
        """Whether rollouts were learned since the last row."""
        return bool(self._rows)

    def add(self, row: dict[str, float], trainer: Trainer) -> None:
        """Takes in the metrics and the finished games of one learned rollout."""
        if self._frames is None:
            self._frames = trainer.frames - trainer.frames_per_rollout
        self._rows.append(row)
        for episode in trainer.take_episodes():
            self._recent.append(episode.game_return)
            self._games.append((episode.game_return, episode.length_steps))

    def take_row(self, trainer: Trainer) -> dict[str, Any]:
        """Returns the row of metrics since the last one and begins the next."""
        now = time.monotonic()
        elapsed = now - self._since
        self.seconds += elapsed
        assert self._frames is not None
        row: dict[str, Any] = {
            "frames": trainer.frames,
            "updates": trainer.learner.version,
            "wall_seconds": self.seconds,
            "speed/frames_per_second": (trainer.frames - self._frames) / elapsed,
            "games": self._games,
        }
        for tag, newest in self._rows[-1].items():
            if tag in WAITS:
                row[WAITS[tag]] = (newest - self._waited[tag]) / elapsed
                self._waited[tag] = newest
            else:
                mean = sum(r[tag] for r in self._rows) / len(self._rows)
                row[tag] = newest if tag in NEWEST else mean
        if self._recent:
            row["return/last_100_games_points"] = sum(self._recent) / len(self._recent)
        seconds = trainer.take_seconds()
        spent = sum(seconds[part] for part in PARTS)
        row |= {f"share/{part}": value / spent for part, value in seconds.items()}
        row["memory/peak_bytes"] = peak_memory_bytes(trainer.device)
        self._rows, self._games, self._since, self._frames = [], [], now, trainer.frames
        return row

    def state_dict(self) -> dict[str, Any]:
        """Returns what the rows after a resume depend on."""
        return {"seconds": self.seconds, "recent": list(self._recent)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned."""
        self.seconds = state["seconds"]
        self._recent.extend(state["recent"])
