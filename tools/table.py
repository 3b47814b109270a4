"""Works off the table of cores and tasks: a sweep a task, and a file a task in `results/table`.

`python -m tools.table` goes on where it was stopped: finished runs are skipped, interrupted ones
resumed, and a core whose runs of all seeds stand in a task's file is left out; with other settings
than those that are asked for it is refused. What is compared stands in `tools/table.yaml`. With
--tune, `results/table/tuning/<task>.json` holds what was tried.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml
from jsonargparse import ArgumentError, ArgumentParser

from agents.impala.config import TrainConfig
from agents.plugins import use_named
from comparison.grouping import core_name
from comparison.run_folder import read_run_folder
from comparison.run_record import RunRecord
from comparison.task_file import read_task_file
from experiment.complaints import close_hint
from experiment.files import file_name, read_json, write_json
from experiment.setting_roles import role_of
from experiment.stop_signals import stop_signals
from sweep import sweep
from sweep.other_settings import differences
from sweep.plan import RunPlan, SweepConfig, choices, matrix
from sweep.steps import command_line
from sweep.tune import tuning_folder
from tools.publish import publish_into_table

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
    is_whole, all_sweeps = True, sweeps(config)
    with stop_signals() as stop:
        for name, of_task in all_sweeps.items():
            print(f"\n{name}: {of_task.cores}", flush=True)
            use_named(["--games", of_task.games or ""])
            is_whole &= sweep.work_off(of_task, stop)
            if stop.signal_name:
                return False
            _publish(of_task, config.results / f"{name}.json")
            _keep_tuning(of_task.out, config.results, name)
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
    return replace(of_task, cores=",".join(_missing_cores(of_task, config.results, name)))


def _missing_cores(of_task: SweepConfig, results: Path, name: str) -> list[str]:
    """Returns the cores of which a task's file lacks the run of a seed.

    Raises:
        ValueError: it has runs of a core with other settings.
    """
    cores, file = of_task.cores.split(","), results / f"{name}.json"
    if not file.exists():
        return cores
    use_named(["--games", of_task.games or ""])
    tried, missing = _tried(results, name), []
    runs: dict[str, list[RunRecord]] = {core: [] for core in cores}
    for run in read_task_file(file):
        runs.setdefault(core_name(run.config), []).append(run)
    for core in cores:
        of_core = tried.get(file_name(core), {})
        if runs[core] and of_task.tune not in (0, len(of_core.get("trials", ()))):
            raise ValueError(
                f"{file} has {core} without {of_task.tune} trials; choose another --results"
            )
        plans = _plans(replace(of_task, cores=core), of_core)
        for run in runs[core]:
            _refuse_other(run, plans[0].config, file)
        if not {plan.config.seed for plan in plans} <= {run.config.seed for run in runs[core]}:
            missing.append(core)
    return missing


def _plans(of_core: SweepConfig, tried: Mapping[str, Any]) -> list[RunPlan]:
    """Returns the runs of a core, with the best settings of as many trials where they are known."""
    is_tried = of_core.tune == len(tried.get("trials", ())) > 0
    return matrix(of_core, {choices(of_core)[0]: tried["best"]} if is_tried else {})


def _refuse_other(run: RunRecord, planned: TrainConfig, file: Path) -> None:
    """Raises ValueError where a published run differs from those asked for but in its seed."""
    assert isinstance(run.config, TrainConfig)
    for name, had, asked in differences(run.config, planned):
        if role_of(name, run.kind.roles) not in ("name", "incidental"):
            raise ValueError(
                f"{file} has {core_name(run.config)} with {name} {had}, asked for is {asked}; "
                "choose another --results and --out"
            )


def _publish(of_task: SweepConfig, file: Path) -> None:
    """Adds the runs that were asked for to a task's file, each once nothing of it is left to do."""
    done = [plan.path for plan in matrix(of_task) if not command_line(plan)]
    publish_into_table([read_run_folder(folder) for folder in done], file)


def _tuning_file(results: Path, name: str) -> Path:
    return results / "tuning" / f"{name}.json"


def _tried(results: Path, name: str) -> dict[str, Any]:
    """Returns what was tried for a task's cores, by core."""
    file = _tuning_file(results, name)
    return dict(read_json(file)) if file.exists() else {}


def _keep_tuning(out: Path, results: Path, name: str) -> None:
    """Adds what was tried for a task's cores to its file."""
    tried = {
        record.stem.removeprefix(f"{game.name}-"): json.loads(record.read_text())
        for game in tuning_folder(out).glob("*/")
        for record in tuning_folder(out).glob(f"{game.name}-*.json")
    }
    if tried:
        file = _tuning_file(results, name)
        file.parent.mkdir(parents=True, exist_ok=True)
        write_json(file, _tried(results, name) | tried)


def main(arguments: list[str]) -> int:
    """Runs the command; returns 1 where a run is not finished, 2 for what the user can mend."""
    parser = ArgumentParser(prog="python -m tools.table", description=__doc__)
    parser.add_class_arguments(TableConfig)
    config = TableConfig(**vars(parser.parse_args(arguments)))
    try:
        return 0 if work_off(config) else 1
    except (ValueError, OSError, ArgumentError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
