"""Keeps what is worth keeping of ended, evaluated runs in `results/`.

`python -m tools.publish runs/x results/memory` takes every run below the first path that has ended
and whose last weights were evaluated by the settings that make a score:

- runs of a small task, or of a task with answers, go into one file a task,
  `results/memory/<task>.json`, or into the file that is named in place of the folder
  (comparison/task_file.py says what it holds);
- of a run on Atari its folder is kept, at the same place below `results/memory`: config,
  provenance, metrics thinned to what a curve needs, and the evaluations of its last weights; with
  --policies, of seed 1 also the weights alone, `policy.safetensors`.

With --only-policies nothing is kept of an agent, on whatever task, but the weights of seed 1, their
origin and their score, in `<game>-<core>` below the second path: what `evaluate` and `watch` take.

What is there already is left as it is.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from agents.evaluation.evaluate import EvaluationConfig
from agents.evaluation.results import result_path
from agents.evaluation.saved_policy import export_policy
from agents.impala.shown import RETURN_TAG
from comparison.agent_runs import AGENTS
from comparison.grouping import core_name, group
from comparison.run_folder import read_run_folder
from comparison.run_record import Config, RunRecord, evenly_spread, short_number
from comparison.task_file import read_task_file, task_file_of
from envs import atari, family_of
from experiment.checkpoint import newest_number
from experiment.files import file_name, write_json
from experiment.metrics import read_metrics
from experiment.run_dir import TRIALS, read_status

COPIED = ("config.yaml", "provenance.json")
ENDED = ("finished", "stopped")
METRICS_ROWS = 200
METRICS_TAGS = (*AGENTS.end_tags, RETURN_TAG, "speed/frames_per_second")
POLICY = "policy.safetensors"
MAX_POLICY_BYTES = 5_000_000


def publish(runs: Path, results: Path, *, with_policies: bool = False) -> list[Path]:
    """Publishes the runs below a folder; returns the new folders and the files that grew.

    Raises:
        ValueError: an ended run has no evaluation, its policy is too large to keep, its file holds
            another task, or another run of the same settings and seed.
    """
    changed = []
    of_tasks: dict[str, list[RunRecord]] = {}
    for folder in ended(runs):
        run, target = read_run_folder(folder), results / folder.relative_to(runs)
        refuse_unscored(folder, run)
        if not is_atari(run):
            of_tasks.setdefault(run.task, []).append(run)
        elif not target.exists():
            publish_folder(folder, run.task, target, with_policies=with_policies)
            changed.append(target)
    for task, of_task in of_tasks.items():
        file = results if results.suffix == ".json" else results / f"{file_name(task)}.json"
        if publish_into_table(of_task, file):
            changed.append(file)
    return changed


def is_atari(run: RunRecord) -> bool:
    """Returns whether a run's folder is kept, not a row in the file of its task."""
    return run.kind is AGENTS and family_of(run.task) is atari.FAMILY


def refuse_unscored(folder: Path, run: RunRecord) -> None:
    """Raises ValueError where a run has no evaluation of its last weights that makes a score."""
    if run.kind is AGENTS:
        score_file(folder, run.task)
    elif run.score is None or run.score.updates != newest_number(folder / "checkpoints"):
        raise ValueError(
            f"{folder} has no score of its last weights; run: run_sequences.py evaluate {folder}"
        )


def publish_policies(runs: Path, results: Path) -> list[Path]:
    """Publishes of every run of seed 1 below a folder what plays; returns the new folders.

    Raises:
        ValueError: an ended run has no evaluation, or its policy is too large to keep.
    """
    changed = []
    for folder in ended(runs):
        run = read_run_folder(folder)
        if run.kind is not AGENTS or run.config.seed != 1:
            continue
        target = results / file_name(f"{run.task}-{core_name(run.config)}".lower())
        if target.exists():
            continue
        with whole_folder(target) as unfinished:
            shutil.copyfile(folder / "provenance.json", unfinished / "provenance.json")
            shutil.copyfile(score_file(folder, run.task), unfinished / "evaluation.json")
            publish_policy(folder, unfinished / POLICY)
        changed.append(target)
    return changed


def ended(runs: Path) -> Iterator[Path]:
    """Yields the folders of the ended runs below a folder, but for trials."""
    for folder in sorted(path.parent for path in runs.rglob("status.json")):
        is_trial = any(part.endswith(TRIALS) for part in folder.relative_to(runs).parts)
        if not is_trial and read_status(folder)["status"] in ENDED:
            yield folder


@contextmanager
def whole_folder(target: Path) -> Iterator[Path]:
    """Yields a folder that takes its place when the block has ended well, and else is gone."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent) as folder:
        unfinished = Path(folder) / target.name
        unfinished.mkdir()
        yield unfinished
        unfinished.rename(target)


def publish_into_table(runs: list[RunRecord], file: Path) -> bool:
    """Adds runs to the file of a task, made where it is missing; returns whether any was new.

    Raises:
        ValueError: the file would hold two tasks, or two runs of the same settings and seed.
    """
    published = read_task_file(file) if file.exists() else []
    known = [_made(run) for run in published]
    new = [run for run in runs if _made(run) not in known]
    if not new:
        return False
    tasks = group([*published, *new])
    if len(tasks) > 1:
        names = ", ".join(task.name for task in tasks)
        raise ValueError(f"{file} would hold more than one task: {names}; name a file for each")
    file.parent.mkdir(parents=True, exist_ok=True)
    write_json(file, task_file_of([*published, *new]))
    return True


def _made(run: RunRecord) -> tuple[Config, dict[str, Any]]:
    """Returns what tells whether two records are of the same run, wherever it lies."""
    return replace(run.config, run_dir=None), run.origin


def publish_folder(run: Path, game: str, target: Path, *, with_policies: bool) -> None:
    """Publishes the folder of one run, whole or not at all."""
    with whole_folder(target) as unfinished:
        for name in COPIED:
            shutil.copyfile(run / name, unfinished / name)
        thin_metrics(run / "metrics.jsonl", unfinished / "metrics.jsonl")
        shutil.copyfile(score_file(run, game), unfinished / "evaluation.json")
        if (greedy := _evaluation_file(run, game, EvaluationConfig(greedy=True))).is_file():
            shutil.copyfile(greedy, unfinished / "evaluation-greedy.json")
        if with_policies and target.name == "seed1":
            publish_policy(run, unfinished / POLICY)


def publish_policy(run: Path, target: Path) -> None:
    """Writes the weights alone."""
    export_policy(run, target)
    size = target.stat().st_size
    if size > MAX_POLICY_BYTES:
        raise ValueError(f"the policy of {run} has {size} bytes; at most {MAX_POLICY_BYTES}")


def thin_metrics(source: Path, target: Path) -> None:
    """Copies evenly spread rows, the first and the last included, and what curves need of each."""
    rows = read_metrics(source)
    kept = [rows[place] for place in evenly_spread(len(rows), METRICS_ROWS)]
    target.write_text("".join(json.dumps(_thin_row(row)) + "\n" for row in kept))


def _thin_row(row: dict[str, Any]) -> dict[str, float]:
    return {tag: short_number(row[tag]) for tag in METRICS_TAGS if row.get(tag) is not None}


def score_file(run: Path, game: str) -> Path:
    """Returns the evaluation of a run's last weights by the settings that make a score.

    Raises:
        ValueError: there is none.
    """
    file = _evaluation_file(run, game, EvaluationConfig())
    if not file.is_file():
        raise ValueError(f"there is no {file}; run: run_atari.py evaluate {run}")
    return file


def _evaluation_file(run: Path, game: str, config: EvaluationConfig) -> Path:
    return result_path(run, game, newest_number(run / "checkpoints"), config)


def main(arguments: list[str]) -> int:
    """Runs the command; returns the exit code, 2 for what the user can mend."""
    parser = argparse.ArgumentParser(prog="python -m tools.publish", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("runs", type=Path, help="folder of the runs")
    parser.add_argument("results", type=Path, help="folder, or .json file of one small task's runs")
    parser.add_argument("--policies", action="store_true", help="also the weights of seed 1")
    parser.add_argument(
        "--only-policies", action="store_true", help="the weights of seed 1, and nothing else"
    )
    parsed = parser.parse_args(arguments)
    try:
        if parsed.only_policies:
            changed = publish_policies(parsed.runs, parsed.results)
        else:
            changed = publish(parsed.runs, parsed.results, with_policies=parsed.policies)
    except (ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for path in changed:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
