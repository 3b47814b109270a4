"""Ways to use all cores for one agent, side by side, and what its ranks say to each other.

Run `python -m benchmarks.processes` on quiet cores; two take some three minutes. Whole runs of the
command line take turns: one process with a thread a core, as many processes with one thread each,
and one process whose actor and learner have a thread each (async, exact lag of 1). A turn's speed
leaves out its first rollout. Then, with as many processes: an exchange of tensors of several
sizes, and an update whose gradients are summed in one flat tensor after the backward pass, beside
`DistributedDataParallel`, which sums them in buckets meanwhile.

Writes `results/processes_*.json`, from which `python -m tools.pages` makes docs/parallel.md.
"""

import os
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from jsonargparse import ArgumentParser
from rich.table import Table
from torch import Tensor
from torch.distributed.launcher.api import LaunchConfig, elastic_launch
from torch.nn.parallel import DistributedDataParallel

from agents.impala.config import TrainConfig, config_from_values
from agents.impala.loss import impala_loss
from agents.impala.trainer import Trainer
from benchmarks.result_file import show, write_result
from experiment.arguments import fields_of
from experiment.bounds import refuse_below
from experiment.metrics import read_metrics
from experiment.provenance import ROOT, provenance, usable_cores
from experiment.ranks import Ranks, joined
from experiment.settings import load_yaml
from models.policy import PolicyConfig

SIZES = tuple(4**n for n in range(1, 12))  # floats in an exchange: 16 bytes to 16 MiB


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the benchmark is asked for.

    Args:
        config: YAML file of training settings.
        core: kind of core.
        rounds: turns of each way.
        rollouts: of a turn, of which the first is not timed.
    """

    config: Path = ROOT / "configs" / "pong.yaml"
    core: str = "lstm"
    rounds: int = 4
    rollouts: int = 4

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rounds", "rollouts")


def ways(cores: int) -> dict[str, list[str]]:
    """Returns the flags of each way; the first is what the others are held against."""
    one = ["--num_threads=1", "--env.num_threads=1"]
    return {
        f"one process, {cores} threads": [f"--num_threads={cores}", f"--env.num_threads={cores}"],
        f"{cores} processes, one thread each": [
            *one,
            f"--processes={cores}",
            f"--num_groups={cores}",
        ],
        "async, exact lag of 1, one thread each": [*one, "--mode=async", "--exact_lag=1"],
    }


def turn(settings: Settings, config: TrainConfig, flags: Sequence[str]) -> tuple[float, int]:
    """Returns frames/s of one whole run of the command line, but for its first rollout.

    And the frames of a rollout.
    """
    learner = config.learner
    steps = settings.rollouts * learner.steps_per_rollout
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        fixed = {
            "config": settings.config,
            "core.kind": settings.core,
            "total_frames": 4 * steps,
            "run_dir": run,
            "log_interval_seconds": 0,
            "checkpoint_interval_seconds": 3600,
        }
        words = [*(f"--{name}={value}" for name, value in fixed.items()), *flags]
        command = [sys.executable, str(ROOT / "run_atari.py"), "train", *words]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        first, *_, last = read_metrics(run / "metrics.jsonl")
    seconds: float = last["wall_seconds"] - first["wall_seconds"]
    return (last["frames"] - first["frames"]) / seconds, first["frames"]


def compared(settings: Settings, config: TrainConfig) -> tuple[list[dict[str, Any]], int]:
    """Returns the speed of every way, turn by turn, and the frames of a rollout."""
    speeds: dict[str, list[float]] = {name: [] for name in ways(usable_cores())}
    for number in range(settings.rounds):
        names = list(speeds)[:: 1 if number % 2 == 0 else -1]
        for name in names:
            speed, frames = turn(settings, config, ways(usable_cores())[name])
            speeds[name].append(speed)
    base = next(iter(speeds.values()))
    rows = [
        {
            "way": name,
            "frames_per_second": found,
            "ratios": [x / y for x, y in zip(found, base, strict=True)],
        }
        for name, found in speeds.items()
    ]
    return rows, frames


def in_ranks(function: Callable[..., Any], *arguments: Any) -> Any:
    """Returns what the first of as many ranks as cores returns."""
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=usable_cores(),
        run_id=uuid.uuid4().hex,
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        max_restarts=0,
    )
    return elastic_launch(config, function)(*arguments)[0]


def exchanges(rounds: int = 30) -> dict[str, Any]:
    """Returns the median seconds of a sum over ranks by bytes, and of the other exchanges."""
    torch.set_num_threads(1)
    with joined() as ranks:
        sums = {
            str(4 * size): median_seconds(partial_sum(ranks, torch.ones(size)), rounds)
            for size in SIZES
        }
        scalars = torch.ones(3)
        return {
            "sum_seconds_by_bytes": sums,
            "gather_of_three_seconds": median_seconds(lambda: ranks.gathered(scalars), rounds),
            "agreement_seconds": median_seconds(lambda: ranks.gather((None, "")), rounds),
        }


def partial_sum(ranks: Ranks, tensor: Tensor) -> Callable[[], None]:
    """Returns a sum over ranks of one tensor."""
    return lambda: ranks.sum_all([tensor])


def median_seconds(work: Callable[[], object], rounds: int) -> float:
    """Returns the median time of a call, after two that do not count."""
    taken = []
    for number in range(rounds + 2):
        began = time.perf_counter()
        work()
        if number >= 2:
            taken.append(time.perf_counter() - began)
    return statistics.median(taken)


def update_seconds(config: TrainConfig, rounds: int = 20) -> dict[str, Any]:
    """Returns the seconds of an update's gradients, flat and in buckets, in turns.

    Of a policy that exchanges nothing else: its features are not centred.
    """
    torch.set_num_threads(1)
    with joined() as ranks, closing(Trainer(config, ranks=ranks)) as trainer:
        rollout, policy, learner = trainer.collect_one(), trainer.policy, trainer.learner
        columns = torch.arange(rollout.action.shape[1] // config.learner.num_minibatches)
        minibatch = rollout.select(columns)
        in_buckets = DistributedDataParallel(policy)

        def backward_in_buckets() -> None:
            output, _ = in_buckets(
                minibatch.observation,
                minibatch.last_reward,
                minibatch.last_action,
                minibatch.start,
                minibatch.core_state,
            )
            learner.optimizer.zero_grad(set_to_none=True)
            loss, _ = impala_loss(
                output, minibatch, config.learner, config.learner.entropy_cost, ranks
            )
            loss.backward()  # type: ignore[no-untyped-call]

        seconds: dict[str, list[float]] = {"flat": [], "buckets": [], "alone": []}
        for _ in range(rounds):
            seconds["buckets"].append(median_seconds(backward_in_buckets, 1))
            seconds["flat"].append(median_seconds(lambda: learner._gradients(minibatch), 1))
            learner.ranks = Ranks()
            seconds["alone"].append(median_seconds(lambda: learner._gradients(minibatch), 1))
            learner.ranks = ranks
        parameters = sum(p.numel() for p in policy.parameters())
        return {
            "gradient_bytes": 4 * parameters,
            "updates_per_rollout": config.learner.updates_per_rollout,
            "seconds": {name: statistics.median(found) for name, found in seconds.items()},
        }


def tables(report: dict[str, Any]) -> list[Table]:
    """Returns the ways, for a terminal."""
    ways_table = Table("way", "frames/s", "over the first", "least to most")
    for row in report["ways"]:
        ways_table.add_row(*cells(row))
    return [ways_table]


def cells(row: dict[str, Any]) -> list[str]:
    """Returns the row of one way as text."""
    ratios = row["ratios"]
    return [
        row["way"],
        f"{statistics.median(row['frames_per_second']):,.0f}",
        f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}",
    ]


def main(settings: Settings) -> None:
    """Measures, prints and writes."""
    values = load_yaml(settings.config.read_text())
    values["core"] = {"kind": settings.core}
    config = config_from_values(values)
    shared = replace(config, num_groups=usable_cores(), num_threads=1, policy=PolicyConfig())
    load = os.getloadavg()
    found, frames = compared(settings, config)
    report = provenance() | {
        "load_before_and_after": [*load, *os.getloadavg()],  # 1, 5 and 15 minutes each
        "config": settings.config.name,
        "core": settings.core,
        "rollouts_of_a_turn": settings.rollouts,
        "ways": found,
        "frames_of_a_rollout": frames,
        "processes": usable_cores(),
        "exchanges": in_ranks(exchanges),
        "update": in_ranks(update_seconds, shared),
    }
    show(report, tables(report), write_result("processes", report), as_json=False)


if __name__ == "__main__":
    parser = ArgumentParser(description="Time ways to use all cores for one agent.")
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
