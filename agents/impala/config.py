"""Every setting of a training run, with its unit, its bounds and where its value comes from.

`configs/*.yaml` hold values for these fields and nothing else; the command line overrides them;
the resolved result is written to `<run_dir>/config.yaml`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from envs.config import EnvConfig
from experiment.bounds import refuse_below, refuse_not_positive
from experiment.config import MAX_THREADS, RunConfig
from experiment.settings import settings_from_values
from models.cores import CoreConfig, resolved
from models.encoders import EncoderConfig
from models.policy import PolicyConfig


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How rollouts become parameter updates.

    Args:
        unroll_length: T, agent steps per rollout.
        batch_size: B, environments per rollout.
        num_passes: times a rollout is learned from; start states go stale over the passes.
        num_minibatches: groups of environments (whole unrolls) per pass, one update each.
        optimizer: RMSProp as in IMPALA, or Adam.
        learning_rate: step size until it decays.
        anneal: decay the step size linearly, to 0 at total_frames.
        cooldown: the last share of total_frames, in (0, 1], over which `anneal` does so; 1 is all
            of it. Language models end as well with a step size that stays until late (Hägele et
            al. 2024, https://arxiv.org/abs/2405.18392).
        desired_kl: KL in nats, > 0, by which a rollout should move the policy from its first pass
            to its last, at frame 0; it decays as the step size does. The step size is led by it,
            within 1/32 and 2 times learning_rate. Null leaves it as it is. Needs num_passes
            of 2 or more.
        rmsprop_decay: smoothing of the squared gradient (IMPALA: 0.99).
        optimizer_epsilon: added to the root of the squared gradient (2021: 0.01; Adam: 1e-5).
        max_gradient_norm: the gradient's L2 norm is clipped to this.
        discount: gamma per agent step, in [0, 1].
        reward_clip: rewards are clipped to [-reward_clip, reward_clip]; 0 leaves them raw.
        entropy_cost: weight of the policy's entropy, per agent step (nats), at frame 0.
        final_entropy_cost: what it decays to linearly, at total_frames; null keeps it as it is.
        value_cost: weight of half the squared value error.
        reduction: losses are summed (as in 2021) or averaged over valid rows.
        policy_loss: the V-trace policy gradient, or the clipped surrogate of PPO (as in APPO).
        surrogate_clip: epsilon of the clipped surrogate.
        rho_bar: V-trace ceiling on the importance weights in the TD errors.
        c_bar: V-trace ceiling on the importance weights in the trace.
        vtrace_lambda: extra decay of the trace, in [0, 1].
        skip_nonfinite: pass over an update whose loss or gradient is not finite, and count it,
            instead of ending the run.
        normalise_advantages: centre advantages over the valid rows of a minibatch, and divide them
            by their standard deviation.
        min_advantage_deviation: what advantages are divided by at least, in units of reward, > 0.
            Once all goes well they differ by the value's errors alone, and blown up to a
            deviation of 1 these undo what was learned.
    """

    unroll_length: int = field(default=50, metadata={"role": "resumable"})
    batch_size: int = field(default=32, metadata={"role": "resumable"})
    num_passes: int = 1
    num_minibatches: int = field(default=1, metadata={"role": "resumable"})
    optimizer: Literal["rmsprop", "adam"] = "rmsprop"
    learning_rate: float = 6e-4
    anneal: bool = True
    cooldown: float = 1.0
    desired_kl: float | None = None
    rmsprop_decay: float = 0.99
    optimizer_epsilon: float = 0.01
    max_gradient_norm: float = 40.0
    discount: float = 0.99
    reward_clip: float = 1.0
    entropy_cost: float = 0.01
    final_entropy_cost: float | None = None
    value_cost: float = 0.5
    reduction: Literal["sum", "mean"] = "sum"
    policy_loss: Literal["plain", "surrogate"] = "plain"
    surrogate_clip: float = 0.2
    rho_bar: float = 1.0
    c_bar: float = 1.0
    vtrace_lambda: float = 1.0
    normalise_advantages: bool = False
    min_advantage_deviation: float = 1e-8
    skip_nonfinite: bool = field(default=False, metadata={"role": "resumable"})

    def __post_init__(self) -> None:
        whole = ("unroll_length", "batch_size", "num_passes", "num_minibatches")
        refuse_below(self, 1, *whole, group="learner.")
        costs = ("entropy_cost", "final_entropy_cost", "value_cost")
        refuse_below(self, 0, "reward_clip", *costs, group="learner.")
        above_0 = ("learning_rate", "optimizer_epsilon", "max_gradient_norm", "surrogate_clip")
        refuse_not_positive(self, *above_0, "min_advantage_deviation", group="learner.")
        if self.batch_size % self.num_minibatches:
            raise ValueError(
                f"learner.batch_size ({self.batch_size}) must be a multiple of "
                f"learner.num_minibatches ({self.num_minibatches})"
            )
        if self.desired_kl is not None and not (self.desired_kl > 0 and self.num_passes > 1):
            raise ValueError(
                "learner.desired_kl must be > 0 or null, and needs learner.num_passes of 2 or "
                f"more, got {self.desired_kl} with num_passes {self.num_passes}"
            )
        if not 0 < self.cooldown <= 1:
            raise ValueError(f"learner.cooldown must be in (0, 1], got {self.cooldown}")
        for name in ("discount", "vtrace_lambda", "rmsprop_decay"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"learner.{name} must be in [0, 1], got {getattr(self, name)}")
        if not 0 < self.c_bar <= self.rho_bar:
            raise ValueError(
                f"need 0 < learner.c_bar <= learner.rho_bar, got {self.c_bar} and {self.rho_bar}"
            )

    @property
    def steps_per_rollout(self) -> int:
        """Agent steps of all environments in one rollout."""
        return self.unroll_length * self.batch_size

    @property
    def updates_per_rollout(self) -> int:
        """Optimiser steps that one rollout pays for."""
        return self.num_passes * self.num_minibatches


@dataclass(frozen=True, kw_only=True)
class TrainConfig(RunConfig):
    """One agent's training, beside what every run has: `RunConfig`.

    Args:
        game: such as "Pong" or "Pong-v5" (Atari), "tmaze" (a memory task); a wrong name lists more.
        env: the environment's protocol and sizes.
        policy: what the policy sees beside observations, and what its heads are given.
        core: memory of the policy; the only field that differs between compared runs.
        encoder: what turns observations into features.
        learner: how rollouts become updates.
        init_from: run folder, checkpoint or policy.safetensors that a new run's first weights come
            from, of the same encoder and core; the heads begin anew where the number of actions
            differs.
        mode: actor and learner take turns in one thread, or run in threads of their own.
        num_actors: actor threads in async mode, each with batch_size environments.
        num_groups: equal parts of the batch, each with its own seeds: the units that are dealt out
            to processes, which must divide it. An actor alternates between its groups, so that
            envpool steps one while the policy acts on the other. Must divide batch_size, and where
            there are several, each minibatch has as much of every group.
        max_policy_lag: updates by which a rollout may lie behind the learner (async mode); actors
            wait rather than exceed it. Never more than the updates of num_actors rollouts. With 0
            acting and learning take turns.
        exact_lag: in async mode, act with exactly the weights of this many rollouts ago, so that
            results do not depend on timing; null takes the newest weights.
        scatter_steps: agent steps that every environment plays at random before training.
        total_frames: emulator frames of the whole run: rows of its rollouts * frame_skip.
        milestone_interval_frames: frames between checkpoints that are kept for good; null keeps
            none.
    """

    game: str = field(default="Pong-v5", metadata={"role": "identity"})
    env: EnvConfig = field(default_factory=EnvConfig, metadata={"role": "identity"})
    policy: PolicyConfig = field(default_factory=PolicyConfig, metadata={"role": "identity"})
    core: CoreConfig = field(default_factory=CoreConfig, metadata={"role": "identity"})
    encoder: EncoderConfig = field(default_factory=EncoderConfig, metadata={"role": "identity"})
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    init_from: str | None = None
    mode: Literal["serial", "async"] = "serial"
    num_actors: int = field(default=1, metadata={"role": "resumable"})
    num_groups: int = field(default=1, metadata={"role": "resumable"})
    max_policy_lag: int = 20
    exact_lag: int | None = None
    scatter_steps: int = 0
    total_frames: int = field(default=200_000_000, metadata={"role": "resumable"})
    milestone_interval_frames: int | None = field(default=None, metadata={"role": "incidental"})

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_below(self, 1, "num_actors", "num_groups", "total_frames", "exact_lag")
        refuse_below(self, 1, "milestone_interval_frames")
        refuse_below(self, 0, "max_policy_lag", "scatter_steps")
        resolved(self.core)  # or it raises
        if self.learner.batch_size % (self.num_groups * self.learner.num_minibatches):
            raise ValueError(
                f"learner.batch_size ({self.learner.batch_size}) must be a multiple of "
                f"num_groups ({self.num_groups}) * learner.num_minibatches "
                f"({self.learner.num_minibatches}): a minibatch has as much of every group"
            )
        if self.num_actors > MAX_THREADS:
            raise ValueError(f"num_actors must be at most {MAX_THREADS}, got {self.num_actors}")
        if self.mode == "serial" and (self.num_actors > 1 or self.exact_lag is not None):
            raise ValueError("num_actors and exact_lag are settings of mode async")
        if self.mode == "async" and 0 < self.max_policy_lag < self.learner.updates_per_rollout:
            raise ValueError(
                f"max_policy_lag ({self.max_policy_lag}) must be at least the updates of a rollout "
                f"({self.learner.updates_per_rollout} = learner.num_passes * "
                "learner.num_minibatches) in mode async, or 0 where acting is to wait for learning"
            )
        if (self.exact_lag or 0) * self.learner.updates_per_rollout > self.max_policy_lag:
            raise ValueError(
                f"exact_lag of {self.exact_lag} rollouts of {self.learner.updates_per_rollout} "
                f"updates exceeds max_policy_lag, {self.max_policy_lag} updates"
            )


def config_from_values(values: Mapping[str, Any]) -> TrainConfig:
    """Returns the settings of an agent that plain values describe; see `settings_from_values`."""
    return settings_from_values(TrainConfig, values)
