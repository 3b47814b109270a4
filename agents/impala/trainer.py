"""Actors, rollouts and learner put together from a config: everything but the run folder.

`Trainer.rows` yields the metrics of each learned rollout; the caller logs, saves, and stops by no
longer asking. Serial and async mode run the same `collect` and `Learner.learn`.
"""

import logging
import time
from collections import deque
from collections.abc import Generator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from agents.impala.actor import Actor, collect
from agents.impala.allocator import keep_freed_memory
from agents.impala.config import TrainConfig
from agents.impala.episodes import Episode
from agents.impala.learner import Learner, step_size
from agents.impala.resolve import arithmetic, choose_device, make_policy, with_encoder
from agents.impala.rollout import Rollout
from agents.impala.threads import ActorThreads
from envs import make_env
from envs.spec import EnvSpec, VecEnv
from experiment.files import file_name
from experiment.seeding import derive_seed
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.trainable import StateCheck, Trainable

logger = logging.getLogger(__name__)
PARTS = ("env", "inference", "learner")
GAMES_IN_MEAN = 100
WAITS = ("actor", "learner")
GAMES_DEPEND_ON = {"learner.batch_size", "num_groups"}
"""Settings that decide how many games an actor plays, and so which saved ones it can go on with."""
Crew = list[Actor]
"""Actors that take turns in one thread and fill one rollout together."""


class Trainer(Trainable):
    """One agent in training: a `Trainable`.

    Args:
        config: every setting.
        num_learned: rollouts learned before a resume; games whose state cannot be saved begin
            anew from seeds derived from it.
    """

    config: TrainConfig
    Config = TrainConfig
    unit = "frames"
    shown = (
        ("return/last_100_games_points", "return of last 100 games", "{:.2f}"),
        ("loss/policy", "policy loss", "{:.4f}"),
        ("loss/value", "value loss", "{:.4f}"),
        ("loss/entropy", "entropy", "{:.3f}"),
        ("learner/lag_updates", "lag, updates", "{:.1f}"),
        ("share/env", "time in env", "{:.0%}"),
        ("share/inference", "time in inference", "{:.0%}"),
        ("share/learner", "time in learner", "{:.0%}"),
        ("share/core", "of that in the core", "{:.0%}"),
    )
    newest = ("learner/learning_rate", "learner/skipped_updates")
    parts: ClassVar[dict[str, str]] = {
        "envs/": "env",
        "agents/impala/learner.py": "learner",
        "agents/impala/act": "actor",
        "agents/impala/queue.py": "",
    }
    memory_settings = "learner.batch_size, learner.unroll_length, num_actors, encoder.size or core"

    def __init__(self, config: TrainConfig, *, num_learned: int = 0) -> None:
        self.config = config
        self.device = choose_device(config.device)
        keep_freed_memory()
        if config.mode == "serial" or config.exact_lag is not None:
            torch.backends.cudnn.deterministic = True  # what it computes does not change by itself
        self.num_learned = num_learned
        self.learn_seconds = 0.0  # since the trainer was made
        self._seconds_taken: dict[str, float] = {}
        self._games: list[Episode] = []  # ended since the last row of metrics
        self._recent_returns: deque[float] = deque(maxlen=GAMES_IN_MEAN)
        self._waited = self._waited_before = dict.fromkeys(WAITS, 0.0)  # seconds, async mode
        num_crews = config.num_actors if config.mode == "async" else 1
        self._envs = [
            [self._make_env(crew, group) for group in range(config.num_groups)]
            for crew in range(num_crews)
        ]
        self.spec: EnvSpec = self._envs[0][0].spec
        self.config = config = with_encoder(config, self.spec)
        torch.manual_seed(derive_seed(config.seed, "policy"))
        self.policy = make_policy(config, self.spec).to(self.device)
        self.arithmetic = arithmetic(self.policy, config.core, self.device)
        self.learner = Learner(
            self.policy,
            config.learner,
            total_frames=config.total_frames,
            frame_skip=self.spec.frame_skip,
            generator=_generator(derive_seed(config.seed, "minibatches"), torch.device("cpu")),
        )
        self.crews = [self._make_crew(crew) for crew in range(num_crews)]
        for number, actor in enumerate(self._actors()):
            actor.scatter(config.scatter_steps, derive_seed(config.seed, "scatter", number))

    @staticmethod
    def run_name(config: TrainConfig) -> str:
        """Returns the name of a run's folder, where the settings name none."""
        return file_name(f"{config.game}-{config.core.kind}-{config.seed}".lower())

    @staticmethod
    def state_check(config: TrainConfig) -> StateCheck:
        """Returns the check of checkpoints of a run with these settings."""
        from agents.impala.stand_in import StandIn  # which is built of parts of a trainer

        return StandIn(config)

    @classmethod
    def restored(
        cls,
        config: TrainConfig,
        state: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        changes: Changes = NO_CHANGES,
    ) -> "Trainer":
        """Returns a trainer that goes on from what `state_dict` and `weights` returned.

        Raises:
            ValueError: total_frames has become less than what is done.
        """
        frames, total = state["learner"]["frames"], config.total_frames
        if "total_frames" in changes and total < frames:
            raise ValueError(f"total_frames cannot become {total}: {frames} frames are done")
        if changes.keys() & GAMES_DEPEND_ON:
            state = {**state, "actors": []}
            logger.warning("the games begin anew, with another number of environments")
        trainer = cls(config, num_learned=state["num_learned"])
        trainer.load_state_dict(state, weights)
        if totals := changes.get("total_frames"):
            rates = [step_size(config.learner, frames, totals[of]) for of in ("from", "to")]
            logger.warning("learning rate at %s frames: %g before, %g now", f"{frames:,}", *rates)
        return trainer

    @property
    def title(self) -> str:
        """Game and core."""
        return f"{self.spec.game} {self.config.core.kind}"

    @property
    def done(self) -> int:
        """Emulator frames learned from."""
        return self.frames

    @property
    def total(self) -> int:
        """Emulator frames of the whole run."""
        return self.config.total_frames

    @property
    def updates(self) -> int:
        """Optimiser steps made."""
        return self.learner.version

    @property
    def passed_milestone(self) -> bool:
        """Whether the last rollout brought the frames to, or over, a multiple of the interval."""
        interval = self.config.milestone_interval_frames
        if interval is None:
            return False
        before = self.frames - self.frames_per_rollout
        return self.frames // interval > before // interval

    @property
    def frames_per_rollout(self) -> int:
        """Emulator frames in a rollout of the present sizes."""
        learner = self.config.learner
        return learner.unroll_length * learner.batch_size * self.spec.frame_skip

    @property
    def rollouts_left(self) -> int:
        """Rollouts of the present sizes that reach total_frames."""
        return max(0, -((self.frames - self.config.total_frames) // self.frames_per_rollout))

    @property
    def frames(self) -> int:
        """Emulator frames learned from."""
        return self.learner.frames

    def rows(self) -> Generator[dict[str, float], None, None]:
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
        while self.rollouts_left:
            rollout.version = self.learner.version
            collect(self.crews[0], rollout)
            yield self._learn(rollout)

    def _async(self) -> Generator[dict[str, float], None, None]:
        num_slots = 1 + self.config.max_policy_lag // self.config.learner.updates_per_rollout
        num_slots = min(num_slots, len(self.crews) + 1)
        slots = [self._allocate() for _ in range(num_slots)]
        first, last = self.num_learned, self.num_learned + self.rollouts_left
        threads = ActorThreads(self.crews, slots, self.config, first=first, last=last)
        with threads.running(self.learner):
            while self.rollouts_left:
                rollout = threads.queue.take()
                metrics = self._learn(rollout)
                threads.publish(self.learner, self.num_learned)
                self._waited = threads.seconds_waited()
                yield metrics

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        began = time.perf_counter()
        metrics = self.learner.learn(rollout)
        self._games += rollout.episodes
        self._recent_returns += [game.game_return for game in rollout.episodes]
        self.num_learned += 1
        self.learn_seconds += time.perf_counter() - began
        return metrics

    def take_row(self, elapsed_seconds: float) -> dict[str, Any]:
        """Returns games, shares of the time and waits since the last call."""
        games, self._games = self._games, []
        row: dict[str, Any] = {"games": [(game.game_return, game.length_steps) for game in games]}
        if self._recent_returns:
            recent = self._recent_returns
            row["return/last_100_games_points"] = sum(recent) / len(recent)
        seconds = self.take_seconds()
        spent = sum(seconds[part] for part in PARTS)
        row |= {f"share/{part}": value / spent for part, value in seconds.items()}
        if self.config.mode == "async":
            row |= {
                f"queue/{side}_wait_share": (waited - self._waited_before[side]) / elapsed_seconds
                for side, waited in self._waited.items()
            }
            self._waited_before = self._waited
        return row

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

    def policy_values(self) -> dict[str, Any]:
        """Returns what the policy must know of its world."""
        return {"spec": self.spec.values()}

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights of the policy."""
        return self.policy.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything a resumed run needs beside `weights`.

        In async mode the actors are ahead of the learner and in motion: theirs is left out, and
        a resumed run begins new games.
        """
        actors = self._actors() if self.config.mode == "serial" else []
        return {
            "num_learned": self.num_learned,
            "recent_returns": list(self._recent_returns),
            "learner": self.learner.state_dict(),
            "actors": [actor.state_dict() for actor in actors],
        }

    def load_state_dict(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Restores what `state_dict` and `weights` returned.

        In a trainer made with the `num_learned` of that state. Games begin anew where it holds no
        actors.
        """
        self.policy.load_state_dict(weights)
        self.num_learned = state["num_learned"]
        self._recent_returns.extend(state["recent_returns"])
        self.learner.load_state_dict(state["learner"])
        if state["actors"]:
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


def _generator(seed: int, device: torch.device) -> torch.Generator:
    return torch.Generator(device).manual_seed(seed)
