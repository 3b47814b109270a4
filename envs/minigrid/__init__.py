"""MiniGrid through envpool: a grid world seen through a small window.

Offered are its Memory games. An object is shown at the start; the return is 1 - 0.9 * steps / limit
where the agent goes to the same object at the fork, 0 at the other one or at the limit. In them the
mission, a sentence, is always the same, so that no policy has to read it.

`env.py` plays, `picture.py` draws.
"""

from envs.config import EnvConfig
from envs.family import Family, Scores
from envs.scene import Scene
from envs.spec import VecEnv

GAMES = tuple(
    f"MiniGrid-Memory{size}-v0" for size in ("S7", "S9", "S11", "S13", "S13Random", "S17Random")
)
ACTIONS = ["turn left", "turn right", "forward", "pick up", "drop", "toggle", "done"]


def _canonical(game: str) -> str | None:
    if game.startswith("MiniGrid-") and game not in GAMES:
        raise ValueError(
            f"{game} is not offered: of MiniGrid there are {', '.join(GAMES)}, whose mission is "
            "always the same, as no policy here reads it"
        )
    return game if game in GAMES else None


def _make(game: str, config: EnvConfig, num_envs: int, seed: int) -> VecEnv:
    from envs.minigrid.env import EnvpoolMiniGrid

    return EnvpoolMiniGrid(game, config, num_envs, seed)


def _scores(game: str, config: EnvConfig) -> Scores:
    """Either object, and the right one, both at once: a walk costs a little of it."""
    return Scores(floor=0.5, ceiling=1.0)


def _scene(env: VecEnv, config: EnvConfig) -> Scene:
    """Draws the cells in view, slow enough to follow."""
    from envs.minigrid.picture import draw_grid

    return Scene(
        env=env,
        picture=lambda step, action, ask: draw_grid(step.observation[0]),
        action_names=ACTIONS,
        fps=4.0,
    )


FAMILY = Family(
    name="MiniGrid",
    usage=f"{GAMES[0]} and its other sizes",
    games=GAMES,
    canonical=_canonical,
    make=_make,
    scores=_scores,
    question=lambda game, config: "the way to the object that lay at the start",
    scene=_scene,
)
