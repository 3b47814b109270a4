"""How fast the actor-learner is, beside its parts alone and beside a plain loop.

Every part does the work of one rollout per turn, and the parts take turns in one process, so that
a slow moment of the machine hits them all:

env       the environments, with a forward pass between their steps whose time is taken off:
          inside a loop they are slower than alone, because the policy takes their caches
env_only  the environments under random actions, nothing between
act       the policy's forward pass and sampling, T calls on stored observations
learn     the configured passes over a stored rollout
whole     a rollout of the training loop itself
plain     a rollout of `plain_loop.PlainLoop` (Atari with a convolutional encoder only), which has
          every core where actors and learner share them
"""

import copy
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from agents.impala.acting import make_act_step
from agents.impala.config import TrainConfig
from agents.impala.rollout import Rollout
from agents.impala.trainer import Trainer
from benchmarks.plain_loop import CNNS, PlainLoop
from benchmarks.timing import Sample, now, take_turns
from envs import make_env
from envs.spec import VecEnv
from experiment.bounds import refuse_below
from experiment.memory import peak_memory_bytes
from experiment.provenance import usable_cores

ASYNC_ROLLOUTS = 5
"""Rollouts of one turn in async mode."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `bench throughput` is asked for.

    Args:
        rounds: turns of each part, one rollout each.
        profile: write a trace of three rollouts here, for chrome://tracing or Perfetto.
        autotune: try thread counts and environment groups, and write the config with the fastest
            here.
        peers: also time what users would pick instead (Stable-Baselines3's RecurrentPPO).
    """

    rounds: int = 7
    profile: str | None = None
    autotune: str | None = None
    peers: bool = False

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rounds")


def time_parts(config: TrainConfig, rounds: int) -> dict[str, Any]:
    """Returns each part's seconds per rollout, the peak memory in bytes, and what computed.

    Args:
        config: the run; `total_frames` sets its schedules, and must last for every turn.
        rounds: turns of each part.

    Raises:
        ValueError: it does not.
    """
    with Whole(config) as whole:
        rollout = with_its_threads(whole, config)
        rollout()
        rollout()
        peak = peak_memory_bytes(whole.trainer.device)
        parts = Parts(config, whole.trainer)
        alone = (parts.env, parts.env_only, parts.act, parts.learn)
        calls = {part.__name__: with_its_threads(part, config) for part in alone}
        calls["whole"] = rollout
        peer = with_every_core(config)
        plain = PlainLoop(peer) if config.encoder.kind in CNNS else None
        if plain is not None:
            calls["plain"] = with_its_threads(lambda: (plain.step(),), peer)
        samples = take_turns(calls, rounds, warm_up=1, is_told=True)
        parts.close()
        if plain is not None:
            plain.close()
    seconds = {name: [sum(sample) for sample in taken] for name, taken in samples.items()}
    return {
        "seconds": seconds,
        "peak_memory_bytes": peak,
        "arithmetic": whole.trainer.arithmetic,
    }


def with_every_core(config: TrainConfig) -> TrainConfig:
    """Returns the settings of a loop beside this one that acts and learns in turns.

    In async mode the cores are shared between actors and learner; that loop has them all.
    """
    if config.mode == "serial":
        return config
    env = replace(config.env, num_threads=0)
    return replace(config, num_threads=usable_cores(), env=env)


class Whole:
    """The training loop without its run folder; a call is one rollout.

    In async mode the actors run ahead: a call first takes the rollouts that they made while
    other parts were timed, and ends when they have made as many again.
    """

    def __init__(self, config: TrainConfig) -> None:
        self.trainer = Trainer(config)
        self._rollouts = self.trainer.rows()
        self._is_async = config.mode == "async"
        self._made_ahead = config.num_actors + 1  # rollouts made before they are asked for, at most

    def __enter__(self) -> "Whole":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Ends the loop."""
        self._rollouts.close()
        self.trainer.close()

    def __call__(self) -> Sample:
        """Trains one rollout; returns its seconds."""
        if not self._is_async:
            return (self._seconds(1),)
        self._seconds(self._made_ahead)
        seconds = self._seconds(ASYNC_ROLLOUTS) / ASYNC_ROLLOUTS
        time.sleep(2 * self._made_ahead * seconds)
        return (seconds,)

    def _seconds(self, num_rollouts: int) -> float:
        began = now(self.trainer.device)
        for _ in range(num_rollouts):
            if next(self._rollouts, None) is None:
                frames = self.trainer.config.total_frames
                raise ValueError(f"total_frames {frames} ends before all is timed; give more")
        return now(self.trainer.device) - began


def time_loops(
    configs: Mapping[str, TrainConfig], rounds: int, ages: Mapping[str, int] | None = None
) -> dict[str, list[float]]:
    """Returns seconds per rollout of training loops that take turns, by name.

    Args:
        configs: by name.
        rounds: turns of each.
        ages: rollouts that each has learned from before, where not 0; serial mode only.
    """
    with ExitStack() as stack:
        calls = {}
        for name, config in configs.items():
            whole = stack.enter_context(Whole(config))
            calls[name] = call = with_its_threads(whole, config)
            for _ in range((ages or {}).get(name, 0)):
                call()
        samples = take_turns(calls, rounds, warm_up=1, repeats=1, is_told=True)
    return {name: [s for (s,) in taken] for name, taken in samples.items()}


def with_its_threads(call: Callable[[], Sample], config: TrainConfig) -> Callable[[], Sample]:
    """Returns a call that gives torch the threads of these settings first."""
    num_threads = config.num_threads or torch.get_num_threads()

    def called() -> Sample:
        torch.set_num_threads(num_threads)
        return call()

    return called


class Parts:
    """Environment, acting and learning, each alone.

    Args:
        config: the run.
        trainer: one that has learned a rollout or more.
    """

    def __init__(self, config: TrainConfig, trainer: Trainer) -> None:
        self.learner = copy.deepcopy(trainer.learner)
        self.policy = self.learner.policy
        self.device = trainer.device
        self.T, self.B = config.learner.unroll_length, config.learner.batch_size
        self._busy_env = make_env(config.game, config.env, self.B, config.seed + 1)
        self._env = make_env(config.game, config.env, self.B, config.seed + 2)
        self._act = make_act_step(self.policy, torch.Generator(self.device).manual_seed(0))
        self._random = np.random.default_rng(0)
        serial = replace(config, mode="serial", exact_lag=None, num_actors=1, num_groups=1)
        self.rollout = one_rollout(serial)

    def env(self) -> Sample:
        """Returns seconds of T steps with a forward pass between them, the pass taken off."""
        return (self._step(self._busy_env, self._forward),)

    def env_only(self) -> Sample:
        """Returns seconds of T steps with nothing between them."""
        return (self._step(self._env, lambda t: None),)

    def _step(self, env: VecEnv, between: Callable[[int], None]) -> float:
        seconds = 0.0
        for t in range(self.T):
            began = time.perf_counter()
            env.recv()
            seconds += time.perf_counter() - began
            between(t)
            actions = self._random.integers(0, env.spec.num_actions, self.B)
            began = time.perf_counter()
            env.send(actions)
            seconds += time.perf_counter() - began
        return seconds

    def _forward(self, t: int) -> None:
        r = self.rollout
        row = slice(t, t + 1)
        self._act(
            r.observation[row],
            r.last_reward[row],
            r.last_action[row],
            r.start[row],
            r.core_state,
        )[0].cpu()

    def act(self) -> Sample:
        """Returns seconds of T forward passes with sampling."""
        began = now(self.device)
        for t in range(self.T):
            self._forward(t)
        return (now(self.device) - began,)

    def learn(self) -> Sample:
        """Returns seconds of the configured passes."""
        began = now(self.device)
        self.learner.learn(self.rollout)
        return (now(self.device) - began,)

    def close(self) -> None:
        """Closes the environments."""
        self._busy_env.close()
        self._env.close()


def one_rollout(config: TrainConfig) -> Rollout:
    """Returns a rollout that an untrained policy collected."""
    trainer = Trainer(config)
    rollout = trainer.collect_one()
    trainer.close()
    return rollout


def trace(config: TrainConfig, path: str) -> None:
    """Writes a trace of three rollouts of the training loop."""
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    with Whole(config) as whole:
        whole()
        with torch.profiler.profile(activities=activities) as profile:
            for _ in range(3):
                whole()
    profile.export_chrome_trace(path)
