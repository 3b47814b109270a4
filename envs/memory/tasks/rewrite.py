"""What was kept is out of date: the new must take its place."""

import numpy as np

from envs.config import EnvConfig
from envs.memory.tasks.base import Tape, Task, blank
from envs.memory.tasks.keep import AT_JUNCTION, CORRIDOR, NUM_PLACES, place_in_view


def endless_tmaze(config: EnvConfig) -> Task:
    """T-mazes in a row: `num_corridors` corridors, each with a cue of its own and a junction.

    The steps from cue to junction are drawn anew for every corridor, uniformly from 1 to `length`.
    Time moves the agent, and only the actions at junctions count. Observation as in `tmaze`. Chance
    is 1/2.

    Source: the Endless T-Maze of https://arxiv.org/abs/2601.15086, its regime "uniform". There the
    agent walks, its place in the corridor is in view, and a wrong turn ends the episode; here every
    junction is reached, so that the score is the share of right turns.
    """
    longest, corridors = config.length, config.num_corridors
    num_steps = corridors * (longest + 1)

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, num_steps, NUM_PLACES)
        cue = rng.integers(2, size=(n, corridors))
        steps = rng.integers(1, longest + 1, size=(n, corridors))
        end = np.cumsum(steps + 1, axis=1)
        junction, row = end - 1, np.arange(n)[:, None]
        observations[..., CORRIDOR] = np.arange(num_steps + 1) < end[:, -1:]
        observations[row, junction - steps] = 0.0
        observations[row, junction - steps, cue] = 1.0
        observations[row, junction] = AT_JUNCTION
        answers[row, junction] = cue
        return observations, answers

    return Task(
        draw=draw,
        num_steps=num_steps,
        observation_size=NUM_PLACES,
        num_actions=2,
        num_questions=corridors,
        question=f"which way the latest cue pointed, 1 to {longest} steps ago, {corridors} times",
        show=place_in_view,
        asks={"cue": AT_JUNCTION},
    )
