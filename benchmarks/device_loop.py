"""How much of the environments' speed a training loop on a GPU keeps, for each core.

    python -m benchmarks.device_loop [--config configs/gpu/pong.yaml] [--num_passes 1]

The environments under random actions, in the same groups, are the most that any loop could reach:
they are timed before and after each core, as a machine's speed can change within a minute. Each
core's loop runs on its own, its first rollouts untimed: Triton compiles in them and graphs are
captured.

Writes `results/device_loop_*.json`, from which `python -m tools.pages` makes the GPU tables of
docs/gpu.md.
"""

import statistics
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jsonargparse import ArgumentParser
from rich.table import Table

from agents.impala.config import TrainConfig, config_from_values
from agents.impala.trainer import Trainer
from benchmarks.result_file import RESULTS, ResultFile, show
from benchmarks.timing import now
from envs import make_env
from experiment.arguments import fields_of
from experiment.bounds import refuse_below
from experiment.provenance import ROOT, provenance
from experiment.settings import load_yaml, plain_values
from models.cores import CORES
from models.encoders import EncoderKind

UNTIMED = 4
"""Rollouts: one launched kernel by kernel, one captured, and what the queue holds."""
GOAL = 0.8
FOREVER = 10**12  # frames


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the benchmark is asked for.

    Args:
        config: YAML file of training settings; the core is varied.
        cores: kinds to time, in order.
        encoder: another encoder than the config's.
        num_passes: other passes than the config's.
        rollouts: timed of each core, at least 2.
        quick: 4 environments and an unroll of 4, to see that everything runs; writes no file.
    """

    config: Path = ROOT / "configs" / "gpu" / "pong.yaml"
    cores: tuple[str, ...] = tuple(CORES)
    encoder: EncoderKind | None = None
    num_passes: int | None = None
    rollouts: int = 6
    quick: bool = False

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rollouts")


def configured(settings: Settings) -> TrainConfig:
    """Returns the settings of training, without a core's name."""
    config = config_from_values(load_yaml(settings.config.read_text()))
    learner = config.learner
    if settings.quick:
        learner = replace(learner, unroll_length=4, batch_size=4, num_minibatches=2)
    if settings.num_passes is not None:
        desired_kl = learner.desired_kl if settings.num_passes > 1 else None
        learner = replace(learner, num_passes=settings.num_passes, desired_kl=desired_kl)
    kind = settings.encoder or config.encoder.kind
    return replace(
        config,
        learner=learner,
        encoder=replace(config.encoder, kind=kind),
        max_policy_lag=max(config.max_policy_lag, learner.updates_per_rollout),
        scatter_steps=0,
        total_frames=FOREVER,
    )


def random_play(config: TrainConfig, num_steps: int) -> float:
    """Returns steps per second of the environments alone, group after group in turn."""
    size = config.learner.batch_size // config.num_groups
    envs = [make_env(config.game, config.env, size, seed) for seed in range(config.num_groups)]
    rng = np.random.default_rng(0)

    def step_all() -> None:
        for env in envs:
            env.recv()
            env.send(rng.integers(0, env.spec.num_actions, size))

    for _ in range(5):
        step_all()
    began = time.perf_counter()
    for _ in range(num_steps):
        step_all()
    seconds = time.perf_counter() - began
    for env in envs:
        env.close()
    return num_steps * config.learner.batch_size / seconds


def time_loop(config: TrainConfig, num_rollouts: int) -> dict[str, Any]:
    """Returns what a loop of this config reaches: steps per second, and seconds by part."""
    trainer = Trainer(config)
    rollouts = trainer.rows()
    for _ in range(UNTIMED):
        next(rollouts)
    trainer.spent.take_seconds()
    taken = []
    for _ in range(num_rollouts):
        began = now(trainer.device)
        next(rollouts)
        taken.append(now(trainer.device) - began)
    parts = trainer.spent.take_seconds()
    rollouts.close()
    trainer.close()
    steps = config.learner.steps_per_rollout
    return {
        "core": config.core.kind,
        "steps_per_second": steps * num_rollouts / sum(taken),
        "seconds_per_rollout": taken,
        "median_seconds_per_rollout": statistics.median(taken),
        "part_seconds_per_rollout": {part: s / num_rollouts for part, s in parts.items()},
        "arithmetic": trainer.arithmetic,
    }


def main(settings: Settings) -> None:
    """Measures, prints and writes; what a core reached is kept before the next one's turn."""
    config = configured(settings)
    num_steps = 4 if settings.quick else 64
    report: dict[str, Any] = {
        **provenance(),
        "settings": plain_values(config),
        "random_play_steps_per_second": [random_play(config, num_steps)],
        "rows": [],
    }
    kept = ResultFile("device_loop", None if settings.quick else RESULTS)
    for kind in settings.cores:
        print(f"{kind}", file=sys.stderr, flush=True)
        one = replace(config, core=replace(config.core, kind=kind))
        row = time_loop(one, settings.rollouts)
        alone = report["random_play_steps_per_second"]
        alone.append(random_play(config, num_steps))
        row["share_of_random_play"] = row["steps_per_second"] / statistics.mean(alone[-2:])
        report["rows"].append(row)
        kept.write(report)
    show(report, [as_table(report)], kept.path, as_json=False)


def as_table(report: dict[str, Any]) -> Table:
    """Returns the report as a table for a terminal."""
    alone = report["random_play_steps_per_second"]
    title = f"random play {min(alone):,.0f} to {max(alone):,.0f} steps/s; goal {GOAL} of it"
    table = Table("core", "steps/s", "of random play", "learner s", "acting s", title=title)
    for row in report["rows"]:
        parts = row["part_seconds_per_rollout"]
        table.add_row(
            row["core"],
            f"{row['steps_per_second']:,.0f}",
            f"{row['share_of_random_play']:.2f}",
            f"{parts['learner']:.3f}",
            f"{parts['inference']:.3f}",
        )
    return table


if __name__ == "__main__":
    parser = ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
