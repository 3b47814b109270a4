"""A saved policy that plays: its environments, its memory and its random stream."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.evaluation.saved_policy import SavedPolicy
from agents.impala.acting import sample_action
from agents.impala.actor import policy_device
from envs import Backend, make_env
from envs.spec import EnvSpec, EnvStep, VecEnv
from experiment.seeding import derive_seed
from models.policy import NO_ACTION, PolicyOutput


class Player:
    """Answers rows with actions, one after the other, from a memory that begins empty.

    The policy computes on the device that it is on; what it says and does comes back to the host.

    Args:
        saved: the policy.
        num_envs: B.
        seed: of the actions.
        greedy: take the likeliest action instead of sampling.
    """

    def __init__(self, saved: SavedPolicy, num_envs: int, seed: int, *, greedy: bool) -> None:
        self._device = policy_device(saved.policy)
        self.state = saved.policy.initial_state(num_envs, self._device)
        self.last_action = torch.full((num_envs,), NO_ACTION)
        self._policy = saved.policy
        self._greedy = greedy
        self._generator = torch.Generator().manual_seed(derive_seed(seed, "evaluation actions"))
        self._rows = torch.arange(num_envs)

    def leave_out(self, rows: NDArray[np.bool_]) -> None:
        """Asks the policy nothing more of these environments.

        The others play as they would, but for the rounding of a smaller batch.
        """
        kept = ~torch.from_numpy(rows)[self._rows]
        if not kept.all():
            self._rows = self._rows[kept]
            self.state = tuple(tensor[kept.to(self._device)] for tensor in self.state)

    def act(self, step: EnvStep) -> tuple[PolicyOutput, Tensor]:
        """Returns what the policy says of a row, and the actions [B] int64.

        It says it of the N environments that are not left out, [1, N, ...]; the actions of the
        others are any.
        """
        observation, reward, start = (
            torch.from_numpy(x) for x in (step.observation, step.reward, step.start)
        )
        last_action = torch.where(start, NO_ACTION, self.last_action)
        given = [observation, reward, last_action, start]
        if len(self._rows) < len(start):
            given = [x[self._rows] for x in given]
        rows = [x[None].to(self._device) for x in given]
        said, self.state = self._policy(*rows, self.state)
        output = PolicyOutput(*(x.cpu() for x in said))
        logits = torch.zeros(len(start), output.logits.shape[-1])
        logits[self._rows] = output.logits[0]
        self.last_action = self._choose(logits)
        return output, self.last_action

    def _choose(self, logits: Tensor) -> Tensor:
        return logits.argmax(-1) if self._greedy else sample_action(logits, self._generator)[0]


def make_env_of(saved: SavedPolicy, num_envs: int, seed: int, backend: Backend) -> VecEnv:
    """Makes B environments of the policy's own game, as it was trained.

    Raises:
        ValueError: the game has other actions or observations here than the policy.
    """
    env = make_env(saved.config.game, saved.config.env, num_envs, seed, backend)
    try:
        _refuse_others(saved.spec, env.spec)
    except ValueError:
        env.close()
        raise
    return env


def _refuse_others(trained: EnvSpec, here: EnvSpec) -> None:
    """Raises ValueError where a game has other actions or observations than a policy."""
    if here.num_actions != trained.num_actions:
        raise ValueError(
            f"the policy has {trained.num_actions} actions, {here.game} here has {here.num_actions}"
        )
    seen = [(s.observation_shape, s.observation_dtype) for s in (trained, here)]
    if seen[0] != seen[1]:
        raise ValueError(f"the policy sees {seen[0]}, {here.game} here gives {seen[1]}")
