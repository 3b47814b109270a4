"""How fast the memory tasks train with this code and with that of an older commit, per core.

Run `git worktree add ../old COMMIT`, then `python -m benchmarks.against --other ../old`. A process
of each commit trains every pair of task and core at equal settings, in turns whose order
alternates; both have one thread, so that the seconds of the CPU are theirs alone, on a machine
that has other work too. Those on the clock are kept beside them. A pair takes some half a minute.

Writes `results/against_*.json`, from which `python -m tools.pages` makes docs/throughput.md.
"""

import itertools
import os
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jsonargparse import ArgumentParser
from rich.table import Table

from benchmarks.result_file import show, write_result
from benchmarks.timing import speed_over
from experiment.arguments import fields_of
from experiment.bounds import refuse_below
from experiment.provenance import ROOT, provenance

WORKER = Path(__file__).with_name("against_worker.py")
CLOCKS = ("wall", "cpu")
WARM_UP = 3  # rollouts


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What the benchmark is asked for.

    Args:
        other: folder of a checkout of the older commit.
        cores: that both have.
        tasks: of configs/memory, in both.
        rounds: turns of each.
        rollouts: of a turn.
    """

    other: Path
    cores: tuple[str, ...]
    tasks: tuple[str, ...] = ("key_value", "tmaze")
    rounds: int = 12
    rollouts: int = 3

    def __post_init__(self) -> None:
        refuse_below(self, 2, "rounds")
        refuse_below(self, 1, "rollouts")
        if not (self.other / "agents").is_dir():
            raise ValueError(f"other must be a checkout of this repository, got {self.other}")


class Worker:
    """A process that trains with the code of a checkout; see `against_worker.py`."""

    def __init__(self, checkout: Path, task: str, core: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), task, core],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout.resolve())},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        (self.parameters,) = self._answer()

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()  # which closes its stdin, and so ends it

    def train(self, rollouts: int) -> tuple[float, float]:
        """Returns the seconds per step by the clock and of the CPU."""
        assert self._process.stdin
        self._process.stdin.write(f"{rollouts}\n")
        self._process.stdin.flush()
        wall, cpu, steps = self._answer()
        return wall / steps, cpu / steps

    def _answer(self) -> list[float]:
        assert self._process.stdout
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args!r} ended")
        return [float(word) for word in line.split()]


def compared(settings: Settings, task: str, core: str) -> dict[str, Any]:
    """Returns what both checkouts take for a step of one pair, and the ratio of their speeds."""
    with ExitStack() as stack:
        folders = (settings.other, ROOT)
        workers = [stack.enter_context(Worker(folder, task, core)) for folder in folders]
        sizes = {worker.parameters for worker in workers}
        if len(sizes) > 1:
            raise RuntimeError(f"{task}, {core}: networks differ, of {sizes} parameters")
        for worker in workers:
            worker.train(WARM_UP)
        taken: list[list[tuple[float, float]]] = [[], []]
        for number in range(settings.rounds):
            for which in (0, 1) if number % 2 == 0 else (1, 0):
                taken[which].append(workers[which].train(settings.rollouts))
    row: dict[str, Any] = {"task": task, "core": core, "parameters": int(sizes.pop())}
    for place, clock in enumerate(CLOCKS):
        old, new = ([seconds[place] for seconds in of] for of in taken)
        ratio, quartiles = speed_over(old, new)
        row[clock] = {
            "old_microseconds_per_step": 1e6 * statistics.median(old),
            "new_microseconds_per_step": 1e6 * statistics.median(new),
            "ratio": ratio,
            "quartiles": list(quartiles),
        }
    return row


def cells(row: dict[str, Any]) -> list[str]:
    """Returns a row as text: by the seconds of the CPU, and the ratio by the clock."""
    cpu, wall = row["cpu"], row["wall"]
    low, high = cpu["quartiles"]
    return [
        row["task"],
        row["core"],
        f"{cpu['old_microseconds_per_step']:.1f}",
        f"{cpu['new_microseconds_per_step']:.1f}",
        f"{cpu['ratio']:.2f} ({low:.2f} to {high:.2f})",
        f"{wall['ratio']:.2f}",
    ]


HEADER = ("task", "core", "us per step, then", "now", "times as fast", "by the clock")


def tables(rows: Sequence[dict[str, Any]]) -> list[Table]:
    """Returns the rows, for a terminal."""
    table = Table(*HEADER)
    for row in rows:
        table.add_row(*cells(row))
    return [table]


def commit_of(checkout: Path) -> str:
    """Returns the commit of a checkout."""
    command = ["git", "-C", str(checkout), "rev-parse", "HEAD"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main(settings: Settings) -> None:
    """Measures, prints and writes."""
    load = os.getloadavg()
    rows = [
        compared(settings, task, core)
        for task, core in itertools.product(settings.tasks, settings.cores)
    ]
    report = {
        **provenance(),
        "other_commit": commit_of(settings.other),
        "load_before_and_after": [*load, *os.getloadavg()],  # 1, 5 and 15 minutes each
        "rounds": settings.rounds,
        "rollouts_of_a_turn": settings.rollouts,
        "rows": rows,
    }
    show(report, tables(rows), write_result("against", report), as_json=False)


if __name__ == "__main__":
    parser = ArgumentParser(description="Time the memory tasks against an older commit.")
    parser.add_class_arguments(Settings)
    main(fields_of(Settings, parser.instantiate(parser.parse_args())))
