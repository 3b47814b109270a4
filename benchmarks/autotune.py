"""A short calibration: which threads, groups and mode make a configuration fastest here."""

import itertools
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import torch
import yaml

from agents.experiment.config_values import config_values
from agents.experiment.provenance import usable_cores
from agents.impala.config import TrainConfig
from benchmarks.throughput import Settings, Whole

ROUNDS = 4


def autotune(config: TrainConfig, settings: Settings) -> TrainConfig:
    """Times short runs of `candidates`, writes the config with the fastest, and returns it.

    Raises:
        ValueError: the file to write exists.
    """
    assert settings.autotune is not None
    path = Path(settings.autotune)
    if path.exists():
        raise ValueError(f"--autotune {path} exists; name a new file")
    best, best_seconds = config, float("inf")
    for candidate in candidates(config):
        seconds = time_rollout(candidate)
        steps = config.learner.unroll_length * config.learner.batch_size
        print(f"{describe(candidate)}: {steps / seconds:,.0f} steps/s", file=sys.stderr, flush=True)
        if seconds < best_seconds:
            best, best_seconds = candidate, seconds
    path.write_text(yaml.safe_dump(config_values(best), sort_keys=False))
    print(f"fastest: {describe(best)}; written to {path}", file=sys.stderr)
    return best


def candidates(config: TrainConfig) -> Iterator[TrainConfig]:
    """Yields the configurations to try: they compute the same thing at other speeds."""
    cores = usable_cores()
    threads = sorted({1, max(1, cores // 2), cores})
    groups = [g for g in (1, 2) if config.learner.batch_size % g == 0]
    for num_threads, env_threads, num_groups in itertools.product(threads, threads, groups):
        env = replace(config.env, num_threads=env_threads)
        yield replace(config, num_threads=num_threads, env=env, num_groups=num_groups)


def describe(config: TrainConfig) -> str:
    """Returns what `candidates` vary."""
    return (
        f"num_threads {config.num_threads}, env.num_threads {config.env.num_threads}, "
        f"num_groups {config.num_groups}"
    )


def time_rollout(config: TrainConfig) -> float:
    """Returns the median seconds of a rollout after warm-up."""
    torch.set_num_threads(config.num_threads)
    with Whole(config) as whole:
        whole()
        return statistics.median(whole()[0] for _ in range(ROUNDS))
