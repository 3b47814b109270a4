"""What a step of the training loop costs: by core, by number of environments, late in a run.

Run `python -m benchmarks.loop_costs` on quiet cores; two take some six minutes. All variants of a
group take turns in one process, so that a slow moment of the machine hits them all: the cores with
32 environments, beside the LSTM; the LSTM with 8 to 128 environments, beside 32; and a loop that
has learned from many rollouts beside one at its beginning. A step's seconds are a rollout's over
unroll_length * batch_size.

Writes `results/loop_costs_*.json`, from which `python -m tools.pages` makes the tables of
docs/throughput.md.
"""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.table import Table

from agents.impala.config import TrainConfig, config_from_values
from benchmarks.result_file import show, write_result
from benchmarks.throughput import time_loops
from benchmarks.timing import speed_over
from experiment.arguments import fields_of
from experiment.bounds import refuse_below
from experiment.provenance import ROOT, provenance
from experiment.settings import load_yaml
from models.cores import CORES

ENVIRONMENTS = (8, 16, 32, 64, 128)
COMPARED_AT = 32
"""Environments of the cores' comparison, and of the row that the others are held against."""
BASE_CORE = "lstm"
LATENESS, EARLY = "rollouts learned from before", "0"
BASES = {"core": BASE_CORE, "environments": str(COMPARED_AT), LATENESS: EARLY}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the benchmark is asked for.

    Args:
        config: YAML file of training settings; core and batch_size are varied.
        rounds: turns of each variant, a rollout each.
        late: rollouts that the loop late in its run has learned from.
    """

    config: Path = ROOT / "configs" / "pong.yaml"
    rounds: int = 7
    late: int = 60

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rounds")
        refuse_below(self, 1, "late")


def variants(config: TrainConfig) -> dict[str, dict[str, TrainConfig]]:
    """Returns the groups of variants; the first of each is what the others are held against."""
    base = with_core(with_environments(config, COMPARED_AT), BASE_CORE)
    sizes = (COMPARED_AT, *(size for size in ENVIRONMENTS if size != COMPARED_AT))
    kinds = (BASE_CORE, *(kind for kind in CORES if kind != BASE_CORE))
    return {
        "core": {kind: with_core(base, kind) for kind in kinds},
        "environments": {str(size): with_environments(base, size) for size in sizes},
    }


def with_core(config: TrainConfig, kind: str) -> TrainConfig:
    """Returns the config with another core."""
    return replace(config, core=replace(config.core, kind=kind))


def with_environments(config: TrainConfig, size: int) -> TrainConfig:
    """Returns the config with another number of environments."""
    return replace(config, learner=replace(config.learner, batch_size=size))


def cost_rows(
    compared: Mapping[str, TrainConfig], seconds: Mapping[str, list[float]]
) -> list[dict[str, Any]]:
    """Returns a row for each variant.

    Args:
        compared: by name; the first is the base.
        seconds: per rollout, of every turn, by name.

    Returns:
        `microseconds_per_step`, its median; `ratio`, the speed per step over the base's of the
        same turn, its median and `quartiles`.
    """
    per_step = {
        name: [s / config.learner.steps_per_rollout for s in seconds[name]]
        for name, config in compared.items()
    }
    base = next(iter(per_step.values()))
    return [cost_row(name, taken, base) for name, taken in per_step.items()]


def cost_row(name: str, taken: list[float], base: list[float]) -> dict[str, Any]:
    """Returns the row of one variant; see `cost_rows`."""
    ratio, quartiles = speed_over(base, taken)
    return {
        "variant": name,
        "microseconds_per_step": 1e6 * statistics.median(taken),
        "ratio": ratio,
        "quartiles": list(quartiles),
    }


def measure(config: TrainConfig, rounds: int, late: int) -> dict[str, list[dict[str, Any]]]:
    """Times every group; returns its rows."""
    groups = variants(config)
    rows = {
        name: cost_rows(compared, time_loops(compared, rounds)) for name, compared in groups.items()
    }
    ages = {EARLY: 0, str(late): late}
    same = dict.fromkeys(ages, groups["core"][BASE_CORE])
    return rows | {LATENESS: cost_rows(same, time_loops(same, rounds, ages))}


def cells(row: dict[str, Any]) -> list[str]:
    """Returns a row as text."""
    low, high = row["quartiles"]
    return [
        row["variant"],
        f"{row['microseconds_per_step']:,.0f}",
        f"{row['ratio']:.2f}",
        f"{low:.2f} to {high:.2f}",
    ]


def header(group: str) -> list[str]:
    """Returns the columns of a group's table."""
    return [group, "microseconds per step", f"speed over {BASES[group]}", "quartiles"]


def main(settings: Settings) -> None:
    """Measures, prints and writes."""
    values = load_yaml(settings.config.read_text())
    groups = measure(config_from_values(values), settings.rounds, settings.late)
    report = {**provenance(), "groups": groups, "settings": values, "rounds": settings.rounds}
    tables = []
    for name, rows in groups.items():
        tables.append(Table(*header(name)))
        for row in rows:
            tables[-1].add_row(*cells(row))
    show(report, tables, write_result("loop_costs", report), as_json=False)


if __name__ == "__main__":
    parser = ArgumentParser(description="Time a step by core and by number of environments.")
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
