"""What each way of making the training loop faster is worth on this machine, taken alone.

Run `python -m benchmarks.levers`. Every lever is one change to the same run (Pong, small encoder,
LSTM); all of them take turns in one process. Writes `results/levers_*.json`, from which
`benchmarks/pages` makes the table in docs/throughput.md.
"""

import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import yaml
from rich.table import Table

from agents.experiment.config_values import config_from_values
from agents.experiment.provenance import provenance
from agents.impala.config import TrainConfig
from agents.impala.trainer import Trainer
from benchmarks.result_file import show, write_result
from benchmarks.throughput import Whole
from benchmarks.timing import take_turns

ROOT = Path(__file__).parents[1]
ROUNDS = 5

Change = Callable[[TrainConfig], TrainConfig]


def _async_one_thread(config: TrainConfig) -> TrainConfig:
    env = replace(config.env, num_threads=1)
    return replace(config, mode="async", exact_lag=1, num_threads=1, env=env)


SETTINGS: dict[str, Change] = {
    "as shipped": lambda c: c,
    "encoder in float32": lambda c: replace(c, encoder_precision="float32"),
    "two environment groups": lambda c: replace(c, num_groups=2),
    "one envpool thread": lambda c: replace(c, env=replace(c.env, num_threads=1)),
    "one torch thread": lambda c: replace(c, num_threads=1),
    "async, exact lag 1, one torch and one envpool thread": _async_one_thread,
    "32 environments": lambda c: replace(c, learner=replace(c.learner, batch_size=32)),
    "stepped recurrence (reference kernel)": lambda c: replace(
        c, core=replace(c.core, kernel="reference")
    ),
}


def _whole_batches(trainer: Trainer) -> None:
    trainer.policy.encoder.trunk.CPU_CHUNK = 2**20  # type: ignore[union-attr]


def _plain_adam(trainer: Trainer) -> None:
    group = trainer.learner.optimizer.param_groups[0]
    group["fused"], group["foreach"] = False, False


PATCHES: dict[str, Callable[[Trainer], None]] = {
    "large batches through the encoder at once": _whole_batches,
    "Adam one tensor at a time": _plain_adam,
}


class Lever:
    """A training loop with one change; a call is one rollout."""

    def __init__(self, config: TrainConfig, patch: Callable[[Trainer], None]) -> None:
        self.threads = config.num_threads or torch.get_num_threads()
        self.steps = config.learner.unroll_length * config.learner.batch_size
        self.whole = Whole(config)
        patch(self.whole.trainer)

    def __call__(self) -> tuple[float]:
        """Returns seconds per agent step."""
        torch.set_num_threads(self.threads)
        return (sum(self.whole()) / self.steps,)


def measure(config: TrainConfig) -> list[dict[str, Any]]:
    """Returns steps per second, quartiles, and the ratio to the run as shipped, by lever."""
    levers = {name: Lever(change(config), lambda _: None) for name, change in SETTINGS.items()}
    levers |= {name: Lever(config, patch) for name, patch in PATCHES.items()}
    samples = take_turns(levers, ROUNDS)
    for lever in levers.values():
        lever.whole.close()
    rows: list[dict[str, Any]] = []
    for name, taken in samples.items():
        low, median, high = statistics.quantiles([s for (s,) in taken], n=4, method="inclusive")
        rows.append(
            {
                "lever": name,
                "steps_per_second": 1 / median,
                "quartiles": [1 / high, 1 / low],
            }
        )
    for row in rows:
        row["ratio"] = row["steps_per_second"] / rows[0]["steps_per_second"]
    return rows


def main() -> None:
    """Measures, prints and writes."""
    config = config_from_values(yaml.safe_load((ROOT / "configs" / "pong.yaml").read_text()))
    report = {**provenance(), "rows": measure(config)}
    report["command"] = [sys.executable.split("/")[-1], "-m", "benchmarks.levers"]
    table = Table("change", "steps/s", "quartiles", "times as shipped")
    for row in report["rows"]:
        low, high = row["quartiles"]
        speed = f"{row['steps_per_second']:,.0f}"
        table.add_row(row["lever"], speed, f"{low:,.0f} to {high:,.0f}", f"{row['ratio']:.2f}")
    show(report, [table], write_result("levers", report), as_json=False)


if __name__ == "__main__":
    main()
