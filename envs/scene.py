"""How one environment is shown in a film: `Scene`, which every family makes for its own games."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from envs.spec import EnvStep, VecEnv

Picture = NDArray[np.uint8]
"""[height, width, 3] RGB."""
Ask = Callable[[NDArray[np.float32]], NDArray[np.float32]]
"""Observations [Q, size] -> probabilities [Q, A] of the actions, if one of them came next."""


@dataclass(kw_only=True)
class Scene:
    """One environment, and its picture.

    Args:
        env: the environment, which whoever asked for the scene steps and closes.
        picture: (step, action, ask) -> the picture of the present row; called once a row. The
            action is the policy's answer to it, None where the game is over; `ask` tells what the
            policy would answer to other observations in its present state.
        action_names: one per action.
        fps: steps a second that are comfortable to watch.
        num_steps: steps that the timelines show.
        episodes: games that make a film of some length.
    """

    env: VecEnv
    picture: Callable[[EnvStep, int | None, Ask], Picture]
    action_names: list[str]
    fps: float
    num_steps: int = 60
    episodes: int = 4
