"""The settings of a film."""

from dataclasses import dataclass
from pathlib import Path

from experiment.bounds import refuse_below


@dataclass(frozen=True, kw_only=True)
class FilmConfig:
    """What is filmed, and where to.

    Args:
        episodes: whole games or sequences; null is what makes a film of some length: 1 on Atari, 4
            elsewhere.
        max_steps: agent steps or tokens after which the film ends in any case; null is no limit.
        seed: of the games and the actions, or of the sequences.
        fps: steps a second; null is a comfortable speed, on Atari the game's own.
        out: .mp4 or .gif file, which must not exist; null is videos/ beside what is filmed.
        frames: new or empty folder that also gets every frame as a PNG.
    """

    episodes: int | None = None
    max_steps: int | None = None
    seed: int = 0
    fps: float | None = None
    out: Path | None = None
    frames: Path | None = None

    def __post_init__(self) -> None:
        refuse_below(self, 1, "episodes", "max_steps")
        refuse_below(self, 0, "seed")
        if self.fps is not None and not 0 < self.fps <= 240:
            raise ValueError(f"fps must be in (0, 240], got {self.fps}")


@dataclass(frozen=True, kw_only=True)
class WatchConfig(FilmConfig):
    """The same of games.

    Args:
        greedy: take the likeliest action instead of sampling.
        board: whether the film, a .gif, is shown in the run's TensorBoard too.
    """

    greedy: bool = False
    board: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.board and self.out is not None and self.out.suffix != ".gif":
            raise ValueError(f"board shows a .gif, got out {self.out}")
