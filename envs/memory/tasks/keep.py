"""One bit is shown at the start and asked for at the end: how long is it kept?"""

import numpy as np

from envs.config import EnvConfig
from envs.memory.tasks.base import Floats, Tape, Task, Tile, blank, one_hot

CUE_0, CUE_1, CORRIDOR, JUNCTION = range(4)
NUM_PLACES = 4
PLACES = (Tile("cue", "0", 0), Tile("cue", "1", 1), Tile("", "·"), Tile("", "T"))
AT_JUNCTION = one_hot(np.array(JUNCTION), NUM_PLACES)


def place_in_view(observation: Floats) -> Tile:
    """Returns the tile of a place in a T-maze."""
    return PLACES[observation.argmax()]


def tmaze(config: EnvConfig) -> Task:
    """Passive T-maze: a cue, `length` - 1 steps of corridor, and a junction where it decides.

    Time moves the agent; only the action at the junction counts. Observation: one-hot of cue 0,
    cue 1, corridor, junction. Chance is 1/2.

    Source: the passive T-maze of Ni et al. 2023 (https://arxiv.org/abs/2307.03864), in which the
    cue is shown once; success is rewarded here with 1 and failure with 0.
    """
    length = config.length

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length + 1, NUM_PLACES)
        cue = rng.integers(2, size=n)
        observations[:, 0] = one_hot(cue, NUM_PLACES)
        observations[:, 1:length, CORRIDOR] = 1.0
        observations[:, length, JUNCTION] = 1.0
        answers[:, length] = cue
        return observations, answers

    return Task(
        draw=draw,
        num_steps=length + 1,
        observation_size=NUM_PLACES,
        num_actions=2,
        num_questions=1,
        question=f"which way the cue pointed, {length} steps ago",
        show=place_in_view,
        asks={"cue": AT_JUNCTION},
    )


def memory_length(config: EnvConfig) -> Task:
    """Memory length of bsuite: a sign in the first two rows, asked for `length` - 1 steps later.

    Observation: the time left as a share of `length`; 0, which of the bits is asked for, and there
    is one; the sign, or 0 once it is gone. The right answer earns 1, a wrong one -1, so that
    chance is 0. Only the time left tells when it is asked for.

    Source: bsuite/environments/memory_chain.py of https://github.com/google-deepmind/bsuite, with
    num_bits 1. Its first step repeats the first observation, and so does this.
    """
    length = config.length

    def draw(rng: np.random.Generator, n: int) -> Tape:
        observations, answers = blank(n, length + 1, 3)
        bit = rng.integers(2, size=n)
        elapsed = np.maximum(np.arange(length + 2) - 1, 0)
        observations[:, :, 0] = 1 - elapsed / length
        observations[:, :2, 2] = 2 * bit[:, None] - 1
        answers[:, length] = bit
        return observations, answers

    def show(observation: Floats) -> Tile:
        if observation[2] == 0:
            return PLACES[CORRIDOR]
        return PLACES[CUE_1 if observation[2] > 0 else CUE_0]

    return Task(
        draw=draw,
        num_steps=length + 1,
        observation_size=3,
        num_actions=2,
        num_questions=1,
        question=f"which sign was shown, {length - 1} steps ago",
        wrong=-1.0,
        show=show,
        asks={"cue": np.array([1 / length, 0, 0], np.float32)},
    )
