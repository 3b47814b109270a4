"""A rollout: T steps of B environments, written by the actor, two of its fields by the learner.

Time-major. Row t holds x_t, a_t, and the reward and discount that a_t led to, so the learner
shifts nothing. Row T only bootstraps and is row 0 of the next rollout.
"""

from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor

from agents.impala.episodes import Episode
from envs.spec import EnvSpec
from models.cores import CoreState
from models.policy import NO_ACTION, PolicyOutput


@dataclass(slots=True)
class Rollout:
    """One slot of the queue: preallocated tensors on the device that computes with them."""

    observation: Tensor  # [T+1, B, *observation_shape] in the environment's dtype
    last_reward: Tensor  # [T+1, B] float32, raw, arrived with x_t; 0 on a game's first observation
    last_action: Tensor  # [T+1, B] int64, led to x_t; NO_ACTION where memory begins anew
    start: Tensor  # [T+1, B] bool, memory begins anew at x_t
    action: Tensor  # [T, B] int64
    behaviour_log_prob: Tensor  # [T, B] float32, log mu(a_t | x_t)
    reward: Tensor  # [T, B] float32, raw
    discount: Tensor  # [T, B] float32, gamma, and 0 where a_t led to an end
    valid: Tensor  # [T, B] bool, false where no action happened (terminal observation)
    value: Tensor  # [T+1, B] float32, V(x_t) in the first of several passes, NaN before
    log_prob: Tensor  # [T, B] float32, log pi(a_t | x_t) in that pass, NaN before
    core_state: CoreState  # each [B, ...] float32, before row 0
    version: int = 0  # updates behind the weights that acted
    episodes: list[Episode] = field(default_factory=list)  # games that ended during the rollout

    @classmethod
    def allocate(
        cls,
        spec: EnvSpec,
        unroll_length: int,
        batch_size: int,
        core_state: CoreState,
        device: torch.device,
    ) -> "Rollout":
        """Returns a rollout whose float rows read NaN until they are written.

        Args:
            spec: shape and dtype of the observations.
            unroll_length: T.
            batch_size: B.
            core_state: what the core's state looks like, each [B, ...].
            device: where the policy computes.
        """
        T, B = unroll_length, batch_size

        def unwritten(rows: int) -> Tensor:
            return torch.full((rows, B), torch.nan, device=device)

        return cls(
            observation=torch.zeros(
                T + 1,
                B,
                *spec.observation_shape,
                dtype=getattr(torch, spec.observation_dtype),
                device=device,
            ),
            last_reward=unwritten(T + 1),
            last_action=torch.full((T + 1, B), NO_ACTION, device=device),
            start=torch.zeros(T + 1, B, dtype=torch.bool, device=device),
            action=torch.zeros(T, B, dtype=torch.int64, device=device),
            behaviour_log_prob=unwritten(T),
            reward=unwritten(T),
            discount=unwritten(T),
            valid=torch.zeros(T, B, dtype=torch.bool, device=device),
            value=unwritten(T + 1),
            log_prob=unwritten(T),
            core_state=tuple(torch.empty_like(s, device=device) for s in core_state),
        )

    def values(self) -> dict[str, Any]:
        """Returns the rows as tensors and plain values by name, fit for a checkpoint."""
        values = {f.name: getattr(self, f.name) for f in fields(self)}
        for name in ("episodes", "value", "log_prob"):
            del values[name]
        return values | {"core_state": list(self.core_state)}

    def select(self, columns: Tensor) -> "Rollout":
        """Returns the rollout of the environments `columns` [b] int64, as copies."""
        tensors = {name: x.index_select(1, columns) for name, x in self._sequences().items()}
        state = tuple(s.index_select(0, columns) for s in self.core_state)
        return Rollout(**tensors, core_state=state, version=self.version)

    def select_into(self, target: "Rollout", columns: Tensor) -> None:
        """Writes what `select` returns into the tensors of an earlier one."""
        targets = target._sequences()
        for name, x in self._sequences().items():
            torch.index_select(x, 1, columns, out=targets[name])
        for slot, state in zip(target.core_state, self.core_state, strict=True):
            torch.index_select(state, 0, columns, out=slot)

    def keep_first_pass(self, columns: Tensor, output: PolicyOutput) -> None:
        """Writes what the learner's first pass says of the environments `columns` [b] int64.

        Args:
            columns: environments.
            output: logits [T+1, b, A] and value [T+1, b], no gradient.
        """
        actions = self.action.index_select(1, columns)
        log_policy = output.logits[:-1].log_softmax(-1)
        self.value.index_copy_(1, columns, output.value)
        self.log_prob.index_copy_(1, columns, log_policy.gather(-1, actions[..., None])[..., 0])

    def _sequences(self) -> dict[str, Any]:
        """Returns the tensors of rows over environments, by field."""
        others = ("core_state", "version", "episodes")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in others}
