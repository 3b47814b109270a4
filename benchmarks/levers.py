"""What each way of making the training loop faster is worth on this machine, taken alone.

Run `python -m benchmarks.levers` on quiet cores; two take less than five minutes. Every lever
changes one thing of `configs/pong.yaml`. What is a setting is timed in the whole loop, the rest in
the part that it changes (`lever_parts.py`); either way shipped and changed take turns. A group of
levers runs in a process of its own, so that none inherits another's threads, and ends with it; on
cores that are busy with something else, threads that wait for each other make it many times slower.

Writes `results/levers_*.json`, from which `python -m benchmarks.pages` makes the table of
docs/throughput.md.
"""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
import yaml
from jsonargparse import ArgumentParser

from agents.experiment.arguments import fields_of
from agents.experiment.config_values import config_from_values
from agents.experiment.provenance import provenance
from agents.impala.config import TrainConfig
from benchmarks import lever_parts
from benchmarks.lever_report import SHIPPED, Group, lever_rows, lever_table
from benchmarks.result_file import show, write_result
from benchmarks.throughput import time_loops

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the benchmark is asked for.

    Args:
        config: YAML file of training settings.
        rounds: turns of each setting; every turn is a rollout or the same work.
        limit_seconds: that a group of levers may take; past it, its levers are left out.
        group: of GROUPS, to time in this process and print as JSON; none times all.
    """

    config: Path = ROOT / "configs" / "pong.yaml"
    rounds: int = 7
    limit_seconds: float = 90.0
    group: str | None = None

    def __post_init__(self) -> None:
        if self.rounds < 2:
            raise ValueError(f"rounds must be at least 2, got {self.rounds}")
        if self.group is not None and self.group not in GROUPS:
            raise ValueError(f"group must be one of {', '.join(GROUPS)}, got {self.group!r}")


def precision(config: TrainConfig, rounds: int) -> Group:
    """Times the loop with the encoder in either precision; one of the two is what "auto" means."""
    changed = {
        "encoder in float32": replace(config, encoder_precision="float32"),
        "encoder in bfloat16": replace(config, encoder_precision="bfloat16"),
    }
    return whole_loops(config, changed, rounds)


def groups(config: TrainConfig, rounds: int) -> Group:
    """Times the loop with envpool stepping one half while the policy acts on the other."""
    return whole_loops(config, {"two environment groups": replace(config, num_groups=2)}, rounds)


def threads(config: TrainConfig, rounds: int) -> Group:
    """Times the loop with one or two threads of torch and envpool."""
    changed = {
        f"threads: torch {torch_threads}, envpool {envpool_threads}": with_threads(
            config, torch_threads, envpool_threads
        )
        for torch_threads, envpool_threads in ((1, 1), (2, 1), (2, 2), (1, 2))
    }
    return whole_loops(config, changed, rounds)


def asynchronous(config: TrainConfig, rounds: int) -> Group:
    """Times the loop with an actor thread beside the learner; a turn is several rollouts."""
    changed = {
        "async, one actor": replace(config, mode="async"),
        "async, one actor, one thread each": replace(with_threads(config, 1, 1), mode="async"),
    }
    return whole_loops(config, changed, max(2, rounds // 2))


def with_threads(config: TrainConfig, torch_threads: int, envpool_threads: int) -> TrainConfig:
    """Returns the config with these thread counts."""
    env = replace(config.env, num_threads=envpool_threads)
    return replace(config, num_threads=torch_threads, env=env)


def whole_loops(config: TrainConfig, changed: Mapping[str, TrainConfig], rounds: int) -> Group:
    """Returns seconds per rollout of the whole loop, as shipped and with each change."""
    return Group("whole", time_loops({SHIPPED: config, **changed}, rounds))


GROUPS: dict[str, Callable[[TrainConfig, int], Group]] = {
    "precision": precision,
    "groups": groups,
    "threads": threads,
    "async": asynchronous,
    "kept-activations": lever_parts.kept_activations,
    "encoder": lever_parts.encoder_variants,
    "impala-encoder": lever_parts.impala_variants,
    "optimiser": lever_parts.optimisers,
    "compiled-encoder": lever_parts.compiled_encoder,
    "compiled-loss": lever_parts.compiled_loss,
}


def time_in_child(group: str, settings: Settings) -> Group | None:
    """Returns what a process of its own timed; None where that took too long."""
    command = [sys.executable, "-m", "benchmarks.levers", "--group", group]
    command += ["--config", str(settings.config), "--rounds", str(settings.rounds)]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, timeout=settings.limit_seconds, check=True
        )
    except subprocess.TimeoutExpired:
        return None
    return Group(**json.loads(done.stdout))


def measure(settings: Settings) -> dict[str, Any]:
    """Times every group, naming each on stderr; returns its rows and what was left out."""
    timed, left_out = [], []
    for name in GROUPS:
        began = time.monotonic()
        group = time_in_child(name, settings)
        outcome = "timed" if group else "left out: beyond its limit,"
        print(f"{name}: {outcome} {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        if group is None:
            left_out.append(name)
        else:
            timed.append(group)
    return {"rows": lever_rows(timed), "left_out": left_out}


def main(settings: Settings) -> None:
    """Measures, prints and writes; or times one group and prints it as JSON."""
    values = yaml.safe_load(settings.config.read_text())
    config = config_from_values(values)
    if settings.group is not None:
        if config.num_threads:
            torch.set_num_threads(config.num_threads)
        print(json.dumps(GROUPS[settings.group](config, settings.rounds)._asdict()))
        return
    report = {**provenance(), **measure(settings), "settings": values}
    report["command"] = ["python", "-m", "benchmarks.levers", *sys.argv[1:]]
    show(report, [lever_table(report)], write_result("levers", report), as_json=False)


if __name__ == "__main__":
    parser = ArgumentParser(description="Time every lever alone.")
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
