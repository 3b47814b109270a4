"""Plays B episodes of a memory task at once; its state can be saved, the generator's included."""

import numpy as np
from numpy.typing import NDArray

from envs.config import EnvConfig
from envs.memory.tasks import NO_QUESTION, TASKS
from envs.random_state import pack_generator, unpack_generator
from envs.spec import EnvSpec, EnvStep, check_action


class MemoryEnv:
    """A `StatefulVecEnv`: rows of a tape drawn when an episode begins.

    `recv` may be called any number of times between two `send`s. `lives` is 0 throughout, no
    episode is truncated, and the last observation is blank.

    Args:
        game: a name in `TASKS`.
        config: sizes.
        num_envs: B.
        seed: of the one generator that all B environments draw from.

    Raises:
        ValueError: sizes that the task cannot have.
    """

    def __init__(self, game: str, config: EnvConfig, num_envs: int, seed: int) -> None:
        self._task = TASKS[game](config)
        self.num_envs = num_envs
        self.spec = EnvSpec(
            game=game,
            observation_shape=(self._task.observation_size,),
            observation_dtype="float32",
            num_actions=self._task.num_actions,
            frame_skip=1,
        )
        self._rows = np.arange(num_envs)
        self._never = np.zeros(num_envs, bool)
        self._no_lives = np.zeros(num_envs, np.int32)
        self._right = np.float32(1 / self._task.num_questions)
        self._wrong = np.float32(self._task.wrong / self._task.num_questions)
        self._rng = np.random.default_rng(seed)
        self._observations, self._answers = self._task.draw(self._rng, num_envs)
        self._num_steps = num_steps(self._answers)
        self._elapsed = np.zeros(num_envs, np.int64)
        self._reward = np.zeros(num_envs, np.float32)

    def recv(self) -> EnvStep:
        """Returns the present row of every environment."""
        over = self._elapsed == self._num_steps
        return EnvStep(
            observation=self._observations[self._rows, self._elapsed],
            reward=self._reward,
            start=self._elapsed == 0,
            terminated=over,
            truncated=self._never,
            game_over=over,
            lives=self._no_lives,
        )

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers with action [B] and moves on; ended episodes begin anew and ignore theirs.

        Raises:
            ValueError: action is not [B].
        """
        check_action(action, self.num_envs)
        answers = self.answers
        is_right, is_asked = action == answers, answers != NO_QUESTION
        self._reward = np.where(is_right, self._right, is_asked * self._wrong)
        self._elapsed += 1
        ended = self._elapsed > self._num_steps
        if ended.any():
            observations, answers = self._task.draw(self._rng, int(ended.sum()))
            self._observations[ended], self._answers[ended] = observations, answers
            self._num_steps[ended] = num_steps(answers)
            self._elapsed[ended] = 0

    @property
    def answers(self) -> NDArray[np.int64]:
        """[B] the right action at the present row; `NO_QUESTION` where any will do."""
        return self._answers[self._rows, self._elapsed]

    def close(self) -> None:
        """Holds nothing that needs releasing."""

    def state_dict(self) -> dict[str, NDArray[np.generic]]:
        """Returns copies of everything the next `recv` or `send` depends on."""
        return {
            "game": np.frombuffer(self.spec.game.encode(), np.uint8).copy(),
            "generator": pack_generator(self._rng),
            "observations": self._observations.copy(),
            "answers": self._answers.copy(),
            "elapsed": self._elapsed.copy(),
            "reward": self._reward.copy(),
        }

    def load_state_dict(self, state: dict[str, NDArray[np.generic]]) -> None:
        """Restores what `state_dict` returned.

        Raises:
            ValueError: the state is of another task or size.
        """
        own = self.state_dict()
        if state.keys() != own.keys():
            raise ValueError(f"state must hold {sorted(own)}, got {sorted(state)}")
        if bytes(np.asarray(state["game"], np.uint8)) != self.spec.game.encode():
            game = bytes(np.asarray(state["game"], np.uint8)).decode(errors="replace")
            raise ValueError(f"state must be of {self.spec.game}, got {game}")
        for name, array in own.items():
            if state[name].shape != array.shape:
                raise ValueError(f"{name} must be {array.shape}, got {state[name].shape}")
        self._rng = unpack_generator(state["generator"])
        self._observations = np.array(state["observations"], np.float32)
        self._answers = np.array(state["answers"], np.int64)
        self._num_steps = num_steps(self._answers)
        self._elapsed = np.array(state["elapsed"], np.int64)
        self._reward = np.array(state["reward"], np.float32)


def num_steps(answers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Returns how many actions [B] episodes have whose answers are [B, T]: to their last question.

    One without a question has T - 1.
    """
    from_the_end = (answers[:, ::-1] != NO_QUESTION).argmax(axis=1)
    actions: NDArray[np.int64] = answers.shape[1] - np.maximum(from_the_end, 1)
    return actions
