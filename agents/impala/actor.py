"""The actor: steps one group of environments with the policy and writes rollouts.

An actor owns its environments, its core state and its random stream. It writes the columns of
a rollout that belong to its environments; `collect` drives several actors in turn, so that
envpool steps one group while the policy acts on the other.
"""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.impala import streams
from agents.impala.acting import make_act_step
from agents.impala.episodes import EpisodeCounter
from agents.impala.rollout import Rollout
from agents.impala.upload import Uploader
from envs.spec import EnvStep, StatefulVecEnv, VecEnv
from models.policy import NO_ACTION, Policy


class Actor:
    """One group of environments and the policy that plays them.

    Args:
        env: the environments; closed by whoever made them.
        policy: the weights that act, on the device of the rollouts.
        columns: the environments' columns in every rollout.
        discount: gamma per agent step.
        generator: random stream of the actions, on the policy's device.
    """

    def __init__(
        self,
        env: VecEnv,
        policy: Policy,
        *,
        columns: slice,
        discount: float,
        generator: torch.Generator,
    ) -> None:
        self.env = env
        self.policy = policy
        self.columns = columns
        self.discount = discount
        self.generator = generator
        self._device = policy_device(policy)
        self.core_state = policy.initial_state(env.num_envs, self._device)
        self._act_step = make_act_step(policy, generator)
        self._uploader = Uploader(self._device)
        self.step: EnvStep | None = None  # the row that waits for an action
        self.last_action = np.full(env.num_envs, NO_ACTION)  # that led to it
        self.counter = EpisodeCounter(env.num_envs)
        self.env_seconds = 0.0  # since the actor was made
        self.inference_seconds = 0.0  # likewise

    def scatter(self, num_steps: int, seed: int) -> None:
        """Plays at random before the first rollout, so that games are not in step with each other.

        They begin together, and their first points end together: until they have drifted apart
        the rows of a minibatch are from one phase of the game.
        """
        random = np.random.default_rng(seed)
        for _ in range(num_steps):
            self.counter.count(self.env.recv())
            self.env.send(random.integers(self.policy.num_actions, size=self.env.num_envs))

    def begin(self, rollout: Rollout) -> None:
        """Writes row 0, which is row T of the rollout before, and the state before it."""
        self._uploader.begin()
        if self.step is None:
            self.step = self._recv(rollout)
        for slot, state in zip(rollout.core_state, self.core_state, strict=True):
            slot[self.columns] = state
        self._write_observation(rollout, 0, self.step)

    def act(self, rollout: Rollout, t: int) -> None:
        """Samples and sends the action of row t."""
        assert self.step is not None
        began = time.perf_counter()
        columns = self.columns
        self._uploader.wait()
        action, log_prob, self.core_state = self._act_step(
            rollout.observation[t : t + 1, columns],
            rollout.last_reward[t : t + 1, columns],
            rollout.last_action[t : t + 1, columns],
            rollout.start[t : t + 1, columns],
            self.core_state,
        )
        rollout.action[t, columns] = action
        rollout.behaviour_log_prob[t, columns] = log_prob
        answer = self.last_action = self._act_step.answer()
        acted = time.perf_counter()
        self.env.send(answer)
        self.inference_seconds += acted - began
        self.env_seconds += time.perf_counter() - acted

    def receive(self, rollout: Rollout, t: int) -> None:
        """Writes what the action of row t - 1 led to, and the observation of row t."""
        began = time.perf_counter()
        step = self.step = self._recv(rollout)
        discount = np.where(step.terminated, np.float32(0.0), np.float32(self.discount))
        self._uploader.write(rollout.reward[t - 1, self.columns], step.reward)
        self._uploader.write(rollout.discount[t - 1, self.columns], discount)
        self._write_observation(rollout, t, step)
        self.env_seconds += time.perf_counter() - began

    def finish(self) -> None:
        """Returns once the rollout is written: whoever reads it may use another stream."""
        self._uploader.wait()
        streams.finish(self._device)

    def _recv(self, rollout: Rollout) -> EnvStep:
        step = self.env.recv()
        rollout.episodes += self.counter.count(step)
        return step

    def _write_observation(self, rollout: Rollout, t: int, step: EnvStep) -> None:
        self._uploader.write(rollout.observation[t, self.columns], step.observation)
        self._uploader.write(rollout.last_reward[t, self.columns], step.reward)
        last_action = np.where(step.start, NO_ACTION, self.last_action)
        self._uploader.write(rollout.last_action[t, self.columns], last_action)
        self._uploader.write(rollout.start[t, self.columns], step.start)
        if t < len(rollout.valid):
            self._uploader.write(rollout.valid[t, self.columns], step.valid)

    def state_dict(self) -> dict[str, Any]:
        """Returns what a resumed actor needs; without the games where they cannot be saved."""
        state: dict[str, Any] = {"generator": self.generator.get_state()}
        if isinstance(self.env, StatefulVecEnv) and self.step is not None:
            state["games"] = {
                "env": _tensors(self.env.state_dict()),
                "step": _tensors(self.step._asdict()),
                "counter": _tensors(self.counter.state_dict()),
                "last_action": torch.from_numpy(self.last_action.copy()),
                "core_state": [s.clone() for s in self.core_state],
            }
        return state

    def takes_stream(self, saved: Tensor) -> bool:
        """Returns whether the state of a random stream is of the kind of device that acts here."""
        return saved.shape == self.generator.get_state().shape

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; games that were not saved begin anew.

        So does the stream of actions where it was saved on the other kind of device, CPU or GPU:
        their states do not fit each other.
        """
        if self.takes_stream(state["generator"]):
            self.generator.set_state(state["generator"])
        if isinstance(self.env, StatefulVecEnv) and "games" in state:
            games = state["games"]
            self.env.load_state_dict(_arrays(games["env"]))
            self.step = EnvStep(**_arrays(games["step"]))
            self.counter.load_state_dict(_arrays(games["counter"]))
            self.last_action = games["last_action"].numpy().copy()
            device = policy_device(self.policy)
            self.core_state = tuple(s.to(device) for s in games["core_state"])


def _tensors(arrays: dict[str, NDArray[np.generic]]) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array.copy()) for name, array in arrays.items()}


def _arrays(tensors: dict[str, Tensor]) -> dict[str, Any]:
    return {name: tensor.numpy() for name, tensor in tensors.items()}


def collect(actors: Sequence[Actor], rollout: Rollout) -> None:
    """Fills a rollout; while one actor's environments step, the next actor's policy runs."""
    T = rollout.action.shape[0]
    rollout.episodes = []
    for actor in actors:
        actor.begin(rollout)
    for t in range(T):
        for actor in actors:
            if t > 0:
                actor.receive(rollout, t)
            actor.act(rollout, t)
    for actor in actors:
        actor.receive(rollout, T)
        actor.finish()


def policy_device(policy: Policy) -> torch.device:
    """Returns the device that the policy computes on."""
    return next(policy.parameters()).device
