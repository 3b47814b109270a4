"""The settings of a film."""

from dataclasses import dataclass
from pathlib import Path


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
        for name in ("episodes", "max_steps"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1, got {value}")
        if self.fps is not None and not 0 < self.fps <= 240:
            raise ValueError(f"fps must be in (0, 240], got {self.fps}")
        if self.seed < 0:
            raise ValueError(f"seed must be >= 0, got {self.seed}")


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
