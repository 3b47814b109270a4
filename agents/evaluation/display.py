"""What is shown of an evaluation: games done, the return so far, and how long still."""

from pathlib import Path
from typing import IO, Any

from agents.evaluation.evaluate import EvaluationConfig, evaluate, num_games, step_limit
from agents.evaluation.games import FirstGames
from agents.evaluation.saved_policy import load_policy
from experiment.live import LiveDisplay, duration


class EvaluationDisplay(LiveDisplay):
    """Shows games under way.

    Args:
        title: what is played.
        num_games: how many games there are.
        max_steps: steps after which every game has ended; None where nobody knows.
        file: where to; None is standard output.
    """

    def __init__(
        self, title: str, num_games: int, max_steps: int | None, file: IO[str] | None = None
    ) -> None:
        super().__init__(file, transient=True)
        self._title, self._num_games, self._max_steps = title, num_games, max_steps
        self._games = FirstGames(num_games)
        self._ends: list[float] = []  # seconds at which games ended

    def tell(self, games: FirstGames) -> None:
        """Takes in where the games stand."""
        self._games = games
        self._ends += [self.elapsed] * (self._num_done - len(self._ends))
        self.changed()

    def first_line(self) -> str:
        """Says what is played."""
        limit = f", at most {self._max_steps:,} steps each" if self._max_steps else ""
        return f"playing {self._num_games} games of {self._title}{limit}"

    def progress(self) -> tuple[int, int]:
        """Returns how many games there are and how many are done."""
        return self._num_games, self._num_done

    def parts(self) -> list[str]:
        """Says how far they are."""
        games, steps = self._games, int(self._games.steps.sum())
        return [
            f"{self._num_done} of {self._num_games} games done",
            f"step {games.steps.max():,}",
            f"return so far {games.returns.mean():.2f}",
            f"{duration(self.elapsed)} elapsed",
            self._left(),
            f"{steps / max(self.elapsed, 1e-9):,.0f} steps/s",
        ]

    @property
    def _num_done(self) -> int:
        return int((~self._games.playing).sum())

    def _left(self) -> str:
        """Returns how long still: at the pace at which games ended, or else at most."""
        playing = self._num_games - self._num_done
        if len(self._ends) > 1:
            pace = (self.elapsed - self._ends[0]) / (len(self._ends) - 1)
            return f"about {duration(pace * playing)} left"
        steps = int(self._games.steps.max())
        if self._max_steps is None or steps == 0:
            return "time left unknown until games end"
        return f"at most {duration(self.elapsed / steps * (self._max_steps - steps))} left"


def evaluate_in_view(source: Path, config: EvaluationConfig, file: IO[str]) -> dict[str, Any]:
    """Returns what `evaluate` does, and shows the games on the way.

    Args:
        source: run folder, checkpoint or policy.safetensors.
        config: how.
        file: where to.
    """
    saved = load_policy(source)
    game, core = saved.spec.game, saved.config.core.kind
    limit = step_limit(saved, config)
    with EvaluationDisplay(f"{game} with {core}", num_games(game, config), limit, file) as shown:
        return evaluate(saved, config, shown.tell)
