"""Whether a run can go on from a checkpoint, found out before anything of the run is touched.

A checksum says that a file is as it was written, not that this code wrote it. The stand-in has the
parts of a trainer, with a policy that has sizes and no memory: what a checkpoint holds must be
built like what the stand-in would save, and the stand-in must be able to restore it.
"""

from collections.abc import Mapping
from typing import Any

import torch

from agents.impala.actor import Actor
from agents.impala.config import TrainConfig
from agents.impala.learner import Learner
from agents.impala.resolve import make_policy
from agents.impala.trainer import GAMES_DEPEND_ON
from envs import make_env
from envs.spec import StatefulVecEnv
from experiment.device import check_random_state, choose_device
from experiment.optimizer_state import optimizer_state_like
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.structure import ANY, ListOf, check_like


class StandIn:
    """The parts of a trainer that a checkpoint restores; close it after use.

    Args:
        config: every setting of the run.

    Raises:
        ValueError: a setting cannot work.
    """

    def __init__(self, config: TrainConfig) -> None:
        self._config = config
        group_size = config.learner.batch_size // config.num_groups
        self._env = make_env(config.game, config.env, group_size, seed=0)
        with torch.device("meta"):
            policy = make_policy(config, self._env.spec)
        self._learner = Learner(
            policy,
            config.learner,
            total_frames=1,
            frames_per_rollout=1,
            generator=torch.Generator(),
        )
        self._actor = Actor(
            self._env,
            policy,
            columns=slice(group_size),
            discount=config.learner.discount,
            generator=torch.Generator(choose_device(config.device)),
        )

    def check(self, payload: Mapping[str, Any], changes: Changes = NO_CHANGES) -> None:
        """Raises ValueError, as a predicate of the file, where a run cannot go on from it."""
        trainer = payload.get("trainable")
        try:
            check_like(payload.get("seconds"), 0.0, "seconds")
            check_like(payload.get("policy"), self._learner.policy.state_dict(), "policy")
            check_like(trainer, self._trainer_like(), "trainable")
            assert isinstance(trainer, Mapping)
            self._check_learner(trainer["learner"])
            if self._config.mode == "serial" and not changes.keys() & GAMES_DEPEND_ON:
                self._check_actors(trainer["actors"], trainer["num_learned"])
        except (ValueError, IndexError, OverflowError, RuntimeError) as error:
            raise ValueError(f"holds no run to go on with: {error}") from None

    def close(self) -> None:
        """Closes the environments."""
        self._env.close()

    def _trainer_like(self) -> dict[str, Any]:
        """Returns what every trainer of this run saves, however far it got."""
        learner = self._learner.state_dict() | {"optimizer": ANY}
        recent = ListOf(0.0)
        return {"num_learned": 0, "recent_returns": recent, "learner": learner, "actors": ANY}

    def _check_learner(self, learner: Mapping[str, Any]) -> None:
        """Checks what the optimiser remembers, which it begins to with its first step."""
        has_stepped = learner["version"] > learner["skipped_updates"]
        parameters = list(self._learner.policy.parameters()) if has_stepped else []
        like = optimizer_state_like(self._config.learner.optimizer, parameters)
        check_like(learner["optimizer"], like, "trainable.learner.optimizer")
        self._learner.generator.set_state(learner["generator"])

    def _check_actors(self, actors: Any, num_learned: int) -> None:
        """Checks random streams and games; restores them, as their values can be wrong too."""
        if isinstance(self._env, StatefulVecEnv) and num_learned:
            self._actor.step = self._env.recv()
        like = self._actor.state_dict() | {"generator": ANY}  # its size depends on the device
        check_like(actors, [like] * self._config.num_groups, "trainable.actors")
        for actor in actors:
            check_random_state(actor["generator"], "a generator of trainable.actors")
            self._actor.load_state_dict(actor)
            if self._actor.step is not None:
                self._env.recv()
