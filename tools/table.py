"""Works off the table of cores and tasks: a sweep a task, and a file a task in `results/table`.

`python -m tools.table` goes on where it was stopped: finished runs are skipped, interrupted ones
resumed, and a core whose runs of all seeds stand in a task's file is left out. What is compared
stands in `tools/table.yaml`. With --tune, `results/table/tuning/<task>.json` holds what was tried.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentParser

from agents.plugins import use_named
from comparison.grouping import core_name
from comparison.task_file import read_task_file
from experiment.complaints import close_hint
from experiment.files import write_json
from experiment.run_dir import read_status
from sweep.plan import SweepConfig
from sweep.sweep import sweep
from sweep.tune import tuning_folder
from tools.publish import publish

TABLE = Path(__file__).with_suffix(".yaml")


@dataclass(frozen=True, kw_only=True)
class TableConfig:
    """What is worked off.

    Args:
        tasks: names in tools/table.yaml, comma-separated; null is all.
        cores: comma-separated; null is the table's.
        seeds: runs of each core on a task; null is the table's.
        tune: settings to try first for each core and task.
        set: settings of all runs, beside those of the table.
        jobs: runs at a time.
        out: folder of the run folders.
        results: folder of the tasks' files.
    """

    tasks: str | None = None
    cores: str | None = None
    seeds: int | None = None
    tune: int = 0
    set: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    jobs: int = 1
    out: Path = Path("runs/table")
    results: Path = Path("results/table")


def sweeps(config: TableConfig) -> dict[str, SweepConfig]:
    """Returns the sweep of every task, with the cores that its file does not have yet.

    Raises:
        ValueError: no such task.
    """
    table = yaml.safe_load(TABLE.read_text())
    names = config.tasks.split(",") if config.tasks else list(table["tasks"])
    for name in names:
        if name not in table["tasks"]:
            hint = close_hint(name, table["tasks"])
            raise ValueError(f"tasks are {', '.join(table['tasks'])}, got {name!r}{hint}")
    all_sweeps = {name: _sweep(name, table, config) for name in names}
    return {name: of for name, of in all_sweeps.items() if of.cores}


def work_off(config: TableConfig) -> bool:
    """Runs and publishes all tasks; returns whether every run is finished."""
    is_whole = True
    for name, of_task in sweeps(config).items():
        print(f"\n{name}: {of_task.cores}", flush=True)
        use_named(["--games", of_task.games or ""])
        is_whole &= sweep(of_task)
        if _is_stopped(of_task.out):
            return False
        publish(of_task.out, config.results / f"{name}.json")
        _keep_tuning(of_task.out, config.results / "tuning" / f"{name}.json")
    return is_whole


def _sweep(name: str, table: Mapping[str, Any], config: TableConfig) -> SweepConfig:
    task: dict[str, Any] = table["tasks"][name]
    values = table["set"] | task.get("set", {}) | config.set
    of_task = SweepConfig(
        config=Path(task["config"]),
        games=task.get("game"),
        cores=config.cores or table["cores"],
        seeds=config.seeds or table["seeds"],
        set=[f"{field}={value}" for field, value in values.items()],
        lengths=task.get("lengths"),
        tune=config.tune,
        jobs=config.jobs,
        out=config.out / name,
    )
    whole = _whole_cores(config.results / f"{name}.json", of_task.seeds)
    return replace(of_task, cores=",".join(c for c in of_task.cores.split(",") if c not in whole))


def _whole_cores(file: Path, seeds: int) -> set[str]:
    """Returns the cores of which a task's file has the runs of all seeds."""
    runs = read_task_file(file) if file.exists() else []
    found = {(core_name(run.config), run.config.seed) for run in runs}
    return {core for core, _ in found if {(core, seed) for seed in range(1, seeds + 1)} <= found}


def _is_stopped(out: Path) -> bool:
    """Returns whether a run was asked to stop: so was the table."""
    statuses = [*out.rglob("status.json"), *tuning_folder(out).rglob("status.json")]
    return any(read_status(path.parent)["status"] == "stopped" for path in statuses)


def _keep_tuning(out: Path, file: Path) -> None:
    """Adds what was tried for a task's cores to its file, by core."""
    tried = {
        record.stem.removeprefix(f"{game.name}-"): json.loads(record.read_text())
        for game in tuning_folder(out).glob("*/")
        for record in tuning_folder(out).glob(f"{game.name}-*.json")
    }
    if tried:
        known = json.loads(file.read_text()) if file.exists() else {}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, known | tried)


def main(arguments: list[str]) -> int:
    """Runs the command; returns 1 where a run is not finished, 2 for what the user can mend."""
    parser = ArgumentParser(prog="python -m tools.table", description=__doc__)
    parser.add_class_arguments(TableConfig)
    config = TableConfig(**vars(parser.parse_args(arguments)))
    try:
        return 0 if work_off(config) else 1
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
