"""Actors, rollouts and learner put together from a config: everything but the run folder.

`Trainer.rollouts` yields the metrics of each learned rollout; the caller logs, saves, and stops
by no longer asking. Serial and async mode run the same `collect` and `Learner.learn`.
"""

import logging
import time
from collections.abc import Generator
from typing import Any

import torch

from agents.impala.actor import Actor, collect
from agents.impala.allocator import keep_freed_memory
from agents.impala.config import TrainConfig
from agents.impala.episodes import Episode
from agents.impala.learner import Learner
from agents.impala.rollout import Rollout
from agents.impala.threads import ActorThreads
from envs import make_env
from envs.spec import EnvSpec, VecEnv
from experiment.seeding import derive_seed
from models.cores import CoreConfig, kernel_backend
from models.policy import Policy

logger = logging.getLogger(__name__)
PARTS = ("env", "inference", "learner")
Crew = list[Actor]
"""Actors that take turns in one thread and fill one rollout together."""


class Trainer:
    """One agent in training.

    Args:
        config: every setting.
        num_learned: rollouts learned before a resume; games whose state cannot be saved begin
            anew from seeds derived from it.
    """

    def __init__(self, config: TrainConfig, *, num_learned: int = 0) -> None:
        self.config = config
        self.device = choose_device(config.device)
        keep_freed_memory()
        self.num_learned = num_learned
        self.learn_seconds = 0.0  # since the trainer was made
        self._seconds_taken: dict[str, float] = {}
        self._episodes: list[Episode] = []
        num_crews = config.num_actors if config.mode == "async" else 1
        self._envs = [
            [self._make_env(crew, group) for group in range(config.num_groups)]
            for crew in range(num_crews)
        ]
        self.spec: EnvSpec = self._envs[0][0].spec
        torch.manual_seed(derive_seed(config.seed, "policy"))
        self.policy = make_policy(config, self.spec).to(self.device)
        self.arithmetic = arithmetic(self.policy, config.core, self.device)
        self.learner = Learner(
            self.policy,
            config.learner,
            total_updates=self.total_rollouts * config.learner.updates_per_rollout,
            generator=_generator(derive_seed(config.seed, "minibatches"), torch.device("cpu")),
        )
        self.crews = [self._make_crew(crew) for crew in range(num_crews)]

    @property
    def frames_per_rollout(self) -> int:
        """Emulator frames in one rollout."""
        learner = self.config.learner
        return learner.unroll_length * learner.batch_size * self.spec.frame_skip

    @property
    def total_rollouts(self) -> int:
        """Rollouts that reach total_frames."""
        return -(-self.config.total_frames // self.frames_per_rollout)

    @property
    def frames(self) -> int:
        """Emulator frames learned from."""
        return self.num_learned * self.frames_per_rollout

    def rollouts(self) -> Generator[dict[str, float], None, None]:
        """Learns rollout after rollout up to total_frames; yields each one's metrics."""
        loop = self._serial if self.config.mode == "serial" else self._async
        return loop()

    def collect_one(self) -> Rollout:
        """Returns a new rollout of the current policy, unlearned."""
        rollout = self._allocate()
        rollout.version = self.learner.version
        collect(self.crews[0], rollout)
        return rollout

    def _serial(self) -> Generator[dict[str, float], None, None]:
        rollout = self._allocate()
        while self.num_learned < self.total_rollouts:
            rollout.version = self.learner.version
            collect(self.crews[0], rollout)
            yield self._learn(rollout)

    def _async(self) -> Generator[dict[str, float], None, None]:
        num_slots = 1 + self.config.max_policy_lag // self.config.learner.updates_per_rollout
        num_slots = min(num_slots, len(self.crews) + 1)
        slots = [self._allocate() for _ in range(num_slots)]
        threads = ActorThreads(
            self.crews, slots, self.config, first=self.num_learned, last=self.total_rollouts
        )
        with threads.running(self.learner):
            while self.num_learned < self.total_rollouts:
                rollout = threads.queue.take()
                metrics = self._learn(rollout)
                threads.publish(self.learner, self.num_learned)
                yield metrics | threads.metrics()

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        began = time.perf_counter()
        metrics = self.learner.learn(rollout)
        self._episodes += rollout.episodes
        self.num_learned += 1
        self.learn_seconds += time.perf_counter() - began
        return metrics

    def take_episodes(self) -> list[Episode]:
        """Returns the games that ended in rollouts learned since the last call."""
        episodes, self._episodes = self._episodes, []
        return episodes

    def take_seconds(self) -> dict[str, float]:
        """Returns seconds spent by part since the last call; in async mode parts overlap.

        Beside PARTS: "core", the part of inference and learner in the core, on a CPU.
        """
        totals: dict[str, float] = {
            "env": sum(actor.env_seconds for actor in self._actors()),
            "inference": sum(actor.inference_seconds for actor in self._actors()),
            "learner": self.learn_seconds,
        }
        if self.device.type == "cpu":
            policies = {self.policy, *(actor.policy for actor in self._actors())}
            totals["core"] = sum(policy.core_clock.seconds for policy in policies)
        before, self._seconds_taken = self._seconds_taken, totals
        return {part: total - before.get(part, 0.0) for part, total in totals.items()}

    def state_dict(self) -> dict[str, Any]:
        """Returns everything a resumed run needs.

        In async mode the actors are ahead of the learner and in motion: theirs is left out, and
        a resumed run begins new games.
        """
        actors = self._actors() if self.config.mode == "serial" else []
        return {
            "num_learned": self.num_learned,
            "learner": self.learner.state_dict(),
            "actors": [actor.state_dict() for actor in actors],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned, in a trainer made with its `num_learned`."""
        self.num_learned = state["num_learned"]
        self.learner.load_state_dict(state["learner"])
        if self.config.mode == "serial":
            pairs = list(zip(self._actors(), state["actors"], strict=True))
            for actor, saved in pairs:
                actor.load_state_dict(saved)
            if not all(actor.takes_stream(saved["generator"]) for actor, saved in pairs):
                logger.warning("saved on another device: the streams of actions begin anew")

    def close(self) -> None:
        """Closes the environments."""
        for actor in self._actors():
            actor.env.close()

    def _actors(self) -> Crew:
        return [actor for crew in self.crews for actor in crew]

    def _allocate(self) -> Rollout:
        learner = self.config.learner
        state = self.policy.initial_state(learner.batch_size)
        return Rollout.allocate(
            self.spec, learner.unroll_length, learner.batch_size, state, self.device
        )

    def _make_env(self, crew: int, group: int) -> VecEnv:
        config = self.config
        seed = derive_seed(config.seed, "env", crew, group, self.num_learned)
        num_envs = config.learner.batch_size // config.num_groups
        return make_env(config.game, config.env, num_envs, seed)

    def _make_crew(self, crew: int) -> Crew:
        config = self.config
        size = config.learner.batch_size // config.num_groups
        policy = self.policy
        if config.mode == "async":
            policy = make_policy(config, self.spec).to(self.device)
        return [
            Actor(
                self._envs[crew][group],
                policy,
                columns=slice(group * size, (group + 1) * size),
                discount=config.learner.discount,
                generator=_generator(
                    derive_seed(config.seed, "actions", crew, group, self.num_learned), self.device
                ),
            )
            for group in range(config.num_groups)
        ]


def make_policy(config: TrainConfig, spec: EnvSpec) -> Policy:
    """Returns the policy that `config` describes, for the observations and actions of `spec`."""
    return Policy(
        spec.observation_shape,
        spec.observation_dtype,
        spec.num_actions,
        config.encoder,
        config.core,
        config.policy,
        spec.symbols,
    )


def arithmetic(policy: Policy, core: CoreConfig, device: torch.device) -> dict[str, str | None]:
    """Returns what computes a policy on a device, as plain values: what `auto` stands for there.

    Raises:
        ValueError: the kernel that the core's settings name cannot run there.
    """
    return {
        "device": device.type,
        "encoder_precision": str(policy.encoder.dtype_on(device)).removeprefix("torch."),
        "core_kernel": kernel_backend(core, device),
    }


def choose_device(name: str) -> torch.device:
    """Returns the device that `name` ("auto", "cpu" or "cuda") stands for.

    Raises:
        ValueError: CUDA is asked for where there is none.
    """
    if name == "cuda" and not torch.cuda.is_available():
        raise ValueError("device: cuda was asked for, but torch sees no CUDA device; use cpu")
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


def _generator(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
