"""What the suite asks of a family of environments: `Family`, the one place of its facts.

`envs/<family>` ends in `FAMILY = Family(...)`, and `envs/__init__.py` imports it. No other file
lists games or families. What a family's functions need is imported when they are called: naming a
game must load no emulator, and playing must load nothing that draws.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from envs.config import EnvConfig
from envs.scene import Scene
from envs.spec import VecEnv

Make = Callable[[str, EnvConfig, int, int], VecEnv]
"""(game, config, num_envs, seed) -> B environments of one game."""


class Scores(NamedTuple):
    """Two returns that fix a scale for a game."""

    floor: float
    ceiling: float

    def normalise(self, score: float) -> float:
        """Returns the score on the scale where floor is 0 and ceiling is 1."""
        return (score - self.floor) / (self.ceiling - self.floor)


@dataclass(frozen=True, kw_only=True)
class Family:
    """One family of environments. A `game` here is a canonical name unless it is said otherwise.

    Args:
        name: of the family.
        usage: which names there are, in a few words.
        games: canonical names, for close matches.
        canonical: any name -> the canonical one, or None where it is no game of this family;
            raises ValueError, with the reason, for a game that it knows and refuses.
        short_name: game -> what run folders and reports call it.
        make: makes the environments that train.
        make_in_gymnasium: a second implementation, which evaluation plays; None where there is
            one only.
        frame_skip: emulator frames per agent step; 1 where there is no emulator.
        scores: (game, config) -> the scale of its returns, or None where none is known.
        ends: what floor and ceiling of that scale are.
        question: (game, config) -> what its memory is asked, in a few words; "" where nothing is.
        memory: game -> the kind of memory that it asks for: keep, rewrite, order, bind or track; ""
            where it is none of these, or not known.
        published: game -> returns that others published, by who did.
        num_games: whole games in an evaluation, unless told otherwise.
        at_length: (game, config, length) -> settings of longer or shorter games; None where games
            have no length.
        step_limit: (game, config) -> steps after which every game has ended; None where that is not
            known.
        scene: (env, config) -> how one environment, made for evaluation, is shown.
    """

    name: str
    usage: str
    games: tuple[str, ...]
    canonical: Callable[[str], str | None]
    short_name: Callable[[str], str] = lambda game: game
    make: Make
    make_in_gymnasium: Make | None = None
    frame_skip: int = 1
    scores: Callable[[str, EnvConfig], Scores | None] = lambda game, config: None
    ends: tuple[str, str] = ("chance", "perfect")
    question: Callable[[str, EnvConfig], str] = lambda game, config: ""
    memory: Callable[[str], str] = lambda game: ""
    published: Callable[[str], Mapping[str, float]] = lambda game: {}
    num_games: int = 500
    at_length: Callable[[str, EnvConfig, int], EnvConfig | None] = lambda game, config, length: None
    step_limit: Callable[[str, EnvConfig], int | None] = lambda game, config: None
    scene: Callable[[Any, EnvConfig], Scene] | None = None
