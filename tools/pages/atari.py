"""The tables of agents on other games than Pong, and on Pong with one frame: docs/atari.md."""

from pathlib import Path

from envs.atari.scores import PUBLISHED, published_scores
from experiment.provenance import ROOT
from tools.pages.files import last_row, table
from tools.pages.pong import means, pong_table, runs_by_core

GAMES, ONE_FRAME = ROOT / "results" / "atari", ROOT / "results" / "pong_one_frame"


def one_frame_block() -> str:
    """Returns how each core did on Pong with one frame in view."""
    return pong_table(runs_by_core(ONE_FRAME))


def games_block() -> str:
    """Returns how each core did on each game, beside a random player and a human."""
    rows = [
        _row(game, core, folders)
        for game in sorted(GAMES.iterdir())
        for core, folders in runs_by_core(game).items()
    ]
    header = ["game", "core", "seed: mean ± standard error", "frames", "minutes", "random, human"]
    return table([*header, *PUBLISHED.values()], rows)


def _row(game: Path, core: str, folders: list[Path]) -> list[str]:
    ends = [last_row(folder) for folder in folders]
    published = published_scores()[f"{game.name}-v5"]
    return [
        game.name,
        f"`{core}`",
        means(folders),
        ", ".join(f"{end['frames'] / 1e6:.0f} M" for end in ends),
        ", ".join(f"{end['wall_seconds'] / 60:.0f}" for end in ends),
        f"{published.random:g}, {published.human:g}",
        *(f"{getattr(published, name):,.0f}" for name in PUBLISHED),
    ]
