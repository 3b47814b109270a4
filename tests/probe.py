"""A counting environment: every row says whose it is, so that a misplaced one is seen in tests.

Observation: seed, environment, episode, step, and the action that led here (-1 on the first row of
a game). Reward: all of them in one number, see `encode_reward`. Episodes have different lengths,
end in turn by game over and by truncation, and lose a life on the way, so that every flag of an
`EnvStep` occurs.
"""

import numpy as np
from numpy.typing import NDArray

from envs.atari.presets import resolve_life_loss
from envs.config import EnvConfig
from envs.family import Family
from envs.spec import EnvSpec, EnvStep, check_action

NUM_ACTIONS = 5
NO_ACTION = -1
LIFE_LOST_STEP = 2
# Digits of a reward. Their product stays below 2**24, so that float32 holds every code exactly.
_BASES = {"env": 64, "episode": 64, "step": 32, "action": 8}

Integers = NDArray[np.int64]


def episode_length(env: Integers, episode: Integers) -> Integers:
    """Returns the number of actions in an episode, 3 to 13, another one for each neighbour."""
    return 3 + (7 * env + 5 * episode) % 11


def encode_reward(
    env: Integers, episode: Integers, step: Integers, action: Integers
) -> NDArray[np.float32]:
    """Returns one float32 for what was done: never 0, exact, and unique modulo `_BASES`.

    Args:
        env: which environment.
        episode: which of its games, from 0.
        step: which action of the game this was, from 0.
        action: the action.
    """
    code = env % _BASES["env"]
    code = code * _BASES["episode"] + episode % _BASES["episode"]
    code = code * _BASES["step"] + step % _BASES["step"]
    return (code * _BASES["action"] + action + 1).astype(np.float32)


def decode_reward(reward: NDArray[np.float32]) -> dict[str, Integers]:
    """Returns env, episode, step and action, each modulo its base, of an encoded reward."""
    code = reward.astype(np.int64)
    digits = {}
    for name, base in reversed(_BASES.items()):
        digits[name] = code % base
        code = code // base
    digits["action"] = digits["action"] - 1
    return digits


class ProbeEnv:
    """A `StatefulVecEnv` without chance; see the module for what its rows say.

    Games with an odd number (from 0) are truncated, the others end in game over. The first of two
    lives is lost by the second action of a game, which is never its last.

    Args:
        config: only `life_loss` (or the preset's) is used.
        num_envs: B.
        seed: stands in every observation.
    """

    def __init__(self, config: EnvConfig, num_envs: int, seed: int) -> None:
        self.num_envs = num_envs
        self.spec = EnvSpec(
            game="probe",
            observation_shape=(5,),
            observation_dtype="float32",
            num_actions=NUM_ACTIONS,
            frame_skip=1,
        )
        self._seed = np.full(num_envs, seed, np.int64)
        self._env = np.arange(num_envs)
        self._episode = np.zeros(num_envs, np.int64)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._action = np.full(num_envs, NO_ACTION)
        self._life_loss = resolve_life_loss(config)

    def recv(self) -> EnvStep:
        """Returns the present row of every environment."""
        counters = (self._seed, self._env, self._episode, self._elapsed, self._action)
        is_first = self._elapsed == 0
        earned = encode_reward(self._env, self._episode, self._elapsed - 1, self._action)
        ended = self._elapsed == episode_length(self._env, self._episode)
        game_over = ended & (self._episode % 2 == 0)
        life_lost = self._elapsed == LIFE_LOST_STEP
        return EnvStep(
            observation=np.stack(counters, axis=1).astype(np.float32),
            reward=np.where(is_first, np.float32(0), earned),
            start=is_first | (life_lost & (self._life_loss == "end_episode")),
            terminated=game_over | (life_lost & (self._life_loss != "ignore")),
            truncated=ended & ~game_over,
            game_over=game_over,
            lives=np.where(self._elapsed < LIFE_LOST_STEP, 2, 1).astype(np.int32),
        )

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers with action [B] and moves on; ended games begin anew and ignore theirs.

        Raises:
            ValueError: action is not [B] of integers in [0, NUM_ACTIONS).
        """
        check_action(action, self.num_envs)
        if action.min() < 0 or action.max() >= NUM_ACTIONS:
            raise ValueError(f"actions must be in [0, {NUM_ACTIONS}), got {action}")
        ended = self._elapsed == episode_length(self._env, self._episode)
        self._episode = self._episode + ended
        self._elapsed = np.where(ended, 0, self._elapsed + 1)
        self._action = np.where(ended, NO_ACTION, action)

    def close(self) -> None:
        """Holds nothing that needs releasing."""

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns copies of everything the next `recv` or `send` depends on."""
        return {
            "episode": self._episode.copy(),
            "elapsed": self._elapsed.copy(),
            "action": self._action.copy(),
        }

    def load_state_dict(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            ValueError: the state is of another environment or size.
        """
        expected = dict.fromkeys(("episode", "elapsed", "action"), (self.num_envs,))
        if (shapes := {name: array.shape for name, array in state.items()}) != expected:
            raise ValueError(f"state must have shapes {expected}, got {shapes}")
        self._episode = np.array(state["episode"], np.int64)
        self._elapsed = np.array(state["elapsed"], np.int64)
        self._action = np.array(state["action"], np.int64)


FAMILY = Family(
    name="probe",
    usage="probe",
    games=(),
    canonical=lambda game: game if game == "probe" else None,
    make=lambda game, config, num_envs, seed: ProbeEnv(config, num_envs, seed),
)
