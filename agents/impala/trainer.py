"""Actors, rollouts and learner put together from a config: everything but the run folder.

Of several ranks each has a trainer, with its share of the batch; all call the same methods in the
same order.

`Trainer.rows` yields the metrics of each learned rollout; the caller logs, saves, and stops by no
longer asking. Serial and async mode run the same `collect` and `Learner.learn`.
"""

import logging
import time
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from agents.impala.actor import collect
from agents.impala.allocator import keep_freed_memory
from agents.impala.config import TrainConfig
from agents.impala.crews import Crew, Share, generator, make_crew, make_envs, refuse_uneven
from agents.impala.initial_weights import take_weights
from agents.impala.learner import Learner
from agents.impala.played import Played
from agents.impala.resolve import arithmetic, make_policy, settled
from agents.impala.rollout import Rollout
from agents.impala.schedules import step_size
from agents.impala.shown import LAG, SHOWN
from agents.impala.spent import Spent
from agents.impala.threads import ActorThreads
from envs import canonical_game, family_of
from envs.spec import EnvSpec, VecEnv
from experiment.device import choose_device
from experiment.files import file_name
from experiment.progress import Shown
from experiment.ranks import ALONE, Ranks
from experiment.seeding import derive_seed
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.trainable import StateCheck, Trainable

logger = logging.getLogger(__name__)
GAMES_DEPEND_ON = {"learner.batch_size", "num_groups"}
"""Settings that decide how many games an actor plays, and so which saved ones it can go on with."""


class Trainer(Trainable):
    """One agent in training: a `Trainable`.

    Args:
        config: every setting.
        num_learned: rollouts learned before a resume; games whose state cannot be saved begin
            anew from seeds derived from it.
        ranks: that train the agent together.

    Raises:
        ValueError: a setting cannot work here, or with this number of ranks.
    """

    config: TrainConfig
    Config = TrainConfig
    unit = "frames"
    newest = ("learner/learning_rate", "learner/skipped_updates")
    parts: ClassVar[dict[str, str]] = {
        "envs/": "env",
        "agents/impala/learner.py": "learner",
        "agents/impala/act": "actor",
        "agents/impala/queue.py": "",
    }
    memory_settings = "learner.batch_size, learner.unroll_length, num_actors, encoder.size or core"

    def __init__(self, config: TrainConfig, *, num_learned: int = 0, ranks: Ranks = ALONE) -> None:
        self.config = config
        self.ranks = ranks
        self.share = Share.of(config, ranks)
        self.device = choose_device(config.device, ranks)
        keep_freed_memory()
        if config.mode == "serial" or config.exact_lag is not None:
            torch.backends.cudnn.deterministic = True  # what it computes does not change by itself
        self.num_learned = num_learned
        self._played = Played(ranks)
        self._origin: Mapping[str, Any] = {}
        num_crews = config.num_actors if config.mode == "async" else 1
        envs = [make_envs(config, self.share, crew, num_learned) for crew in range(num_crews)]
        self.spec: EnvSpec = envs[0][0].spec
        self.config = config = settled(config, self.spec)
        torch.manual_seed(derive_seed(config.seed, "policy"))
        self.policy = make_policy(config, self.spec).to(self.device)
        self.arithmetic = arithmetic(self.policy, config.core, self.device)
        self.learner = Learner(
            self.policy,
            config.learner,
            total_frames=config.total_frames,
            frames_per_rollout=self.frames_per_rollout,
            generator=generator(derive_seed(config.seed, "minibatches"), torch.device("cpu")),
            num_groups=config.num_groups,
            ranks=ranks,
        )
        self.crews = [self._make_crew(crew, envs[crew]) for crew in range(num_crews)]
        self.spent = Spent(self.policy, self._actors(), ranks)
        for number, crew in enumerate(self.crews):
            for group, actor in zip(self.share.groups, crew, strict=True):
                seed = derive_seed(config.seed, "scatter", number, group)
                actor.scatter(config.scatter_steps, seed)

    @staticmethod
    def title(config: TrainConfig) -> str:
        """Returns game and core.

        Raises:
            ValueError: there is no such game.
        """
        return f"{canonical_game(config.game)} {config.core.kind}"

    @staticmethod
    def run_name(config: TrainConfig) -> str:
        """Returns the name of a run's folder, where the settings name none.

        Raises:
            ValueError: there is no such game.
        """
        game = family_of(config.game).short_name(canonical_game(config.game))
        return file_name(f"{game}-{config.core.kind}-{config.seed}".lower())

    @classmethod
    def begun(cls, config: TrainConfig, ranks: Ranks = ALONE) -> "Trainer":
        """Returns a trainer before its first rollout, with the weights that `init_from` names.

        Of several ranks each reads them.

        Raises:
            ValueError: a setting cannot work, or the weights do not fit.
        """
        trainer = cls(config, ranks=ranks)
        if config.init_from is not None:
            source = Path(config.init_from)
            trainer._origin = take_weights(trainer.policy, trainer.config, source)
        return trainer

    @property
    def origin(self) -> Mapping[str, Any]:
        """The policy that its first weights came from; empty where they were drawn."""
        return self._origin

    @staticmethod
    def refuse_uneven(config: TrainConfig, num_ranks: int) -> None:
        """Raises ValueError where the groups cannot be dealt out to so many ranks equally."""
        refuse_uneven(config, num_ranks)

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
        ranks: Ranks = ALONE,
    ) -> "Trainer":
        """Returns a trainer that goes on from what `state_dict` and `weights` returned."""
        if changes.keys() & GAMES_DEPEND_ON:
            state = {**state, "actors": []}
            logger.warning("the games begin anew, with another number of environments")
        trainer = cls(config, num_learned=state["num_learned"], ranks=ranks)
        trainer.load_state_dict(state, weights)
        if totals := changes.get("total_frames"):
            done = trainer.done
            rates = [step_size(config.learner, done, totals[of]) for of in ("from", "to")]
            logger.warning("learning rate at %s frames: %g before, %g now", f"{done:,}", *rates)
        return trainer

    @property
    def shown(self) -> Shown:
        """The return, how learning goes, and where the time goes; a lag in async mode alone."""
        return [entry for entry in SHOWN if self.config.mode == "async" or entry[0] != LAG]

    @property
    def done(self) -> int:
        """Emulator frames learned from."""
        return self.learner.frames

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
        before = self.done - self.frames_per_rollout
        return self.done // interval > before // interval

    @property
    def frames_per_rollout(self) -> int:
        """Emulator frames in a rollout of the present sizes."""
        return self.config.learner.steps_per_rollout * self.spec.frame_skip

    @property
    def rollouts_left(self) -> int:
        """Rollouts of the present sizes that reach total_frames."""
        return self.learner.rollouts_left

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
                self.spent.waited(threads.seconds_waited())
                yield metrics

    def _learn(self, rollout: Rollout) -> dict[str, float]:
        began = time.perf_counter()
        metrics = self.learner.learn(rollout)
        self._played.add(rollout.episodes)
        self.num_learned += 1
        self.spent.learned(time.perf_counter() - began)
        return metrics

    def take_row(self, elapsed_seconds: float) -> dict[str, Any]:
        """Returns games, shares of the time and waits since the last call."""
        row = self._played.take_row() | self.spent.take_shares()
        if self.config.mode == "async":
            row |= self.spent.take_waits(elapsed_seconds)
        return row

    def policy_values(self) -> dict[str, Any]:
        """Returns what the policy must know of its world."""
        return {"spec": self.spec.values()}

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights of the policy."""
        return self.policy.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything a resumed run needs beside `weights`.

        The actors are those of all ranks, one a group. In async mode they are ahead of the
        learner and in motion: theirs is left out, and a resumed run begins new games.
        """
        actors = self._actors() if self.config.mode == "serial" else []
        of_ranks = self.ranks.gather([actor.state_dict() for actor in actors])
        return {
            "num_learned": self.num_learned,
            "recent_returns": self._played.recent_returns(),
            "learner": self.learner.state_dict(),
            "actors": [state for states in of_ranks for state in states],
        }

    def load_state_dict(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Restores what `state_dict` and `weights` returned.

        In a trainer made with the `num_learned` of that state, of any number of ranks. Games begin
        anew where it holds no actors.
        """
        self.policy.load_state_dict(weights)
        self.num_learned = state["num_learned"]
        self._played.go_on_from(state["recent_returns"])
        self.learner.load_state_dict(state["learner"])
        if state["actors"]:
            own = [state["actors"][group] for group in self.share.groups]
            pairs = list(zip(self._actors(), own, strict=True))
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
        size = self.share.batch_size
        state = self.policy.initial_state(size)
        return Rollout.allocate(
            self.spec, self.config.learner.unroll_length, size, state, self.device
        )

    def _make_crew(self, crew: int, envs: list[VecEnv]) -> Crew:
        policy = self.policy
        if self.config.mode == "async":
            policy = make_policy(self.config, self.spec).to(self.device)
        return make_crew(
            self.config,
            self.share,
            envs,
            policy,
            crew=crew,
            num_learned=self.num_learned,
            device=self.device,
        )
