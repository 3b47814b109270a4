"""A short calibration: which threads and groups make a configuration fastest here."""

import itertools
import statistics
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from agents.impala.config import TrainConfig
from benchmarks.throughput import Settings, time_loops
from experiment.provenance import usable_cores
from experiment.settings import plain_values

ROUNDS = 4


def autotune(config: TrainConfig, settings: Settings) -> TrainConfig:
    """Times `candidates` in turns, writes the config with the fastest, and returns it.

    Raises:
        ValueError: the file to write exists, or the folder for it does not.
    """
    assert settings.autotune is not None
    path = Path(settings.autotune)
    if path.exists():
        raise ValueError(f"--autotune {path} exists; name a new file")
    if not path.parent.is_dir():
        raise ValueError(f"--autotune {path}: there is no folder {path.parent}")
    tried = {describe(candidate): candidate for candidate in candidates(config)}
    medians = {name: statistics.median(s) for name, s in time_loops(tried, ROUNDS).items()}
    steps = config.learner.steps_per_rollout
    for name, seconds in medians.items():
        print(f"{name}: {steps / seconds:,.0f} steps/s", file=sys.stderr)
    best = min(medians, key=medians.__getitem__)
    path.write_text(yaml.safe_dump(plain_values(tried[best]), sort_keys=False))
    print(f"fastest: {best}; written to {path}", file=sys.stderr)
    return tried[best]


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
