"""Finds runs below paths, in folders of one run and in files of the runs of one task."""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from comparison.run_folder import read_run_folder
from comparison.run_record import RunRecord
from comparison.task_file import is_task_file, read_task_file
from experiment.files import read_json
from experiment.run_dir import TRIALS

MAX_FOLDERS = 100_000  # looked into in search of runs


def read_runs(paths: Iterable[Path]) -> list[RunRecord]:
    """Reads every run in or below the paths.

    Raises:
        ValueError: there is none, or one is unusable; the message names the file.
    """
    return [
        run
        for path in find_runs(paths)
        for run in ([read_run_folder(path)] if path.is_dir() else read_task_file(path))
    ]


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Returns every run folder and task file in or below the paths, each once.

    Links below a path are not followed, and trials (`TRIALS`) are passed over.

    Raises:
        ValueError: a path holds no run, or too many folders to look into.
    """
    found: dict[Path, Path] = {}
    given = list(paths)
    for path in given:
        for run in _below(path):
            found.setdefault(run.resolve(), run)
    if not found:
        names = ", ".join(map(str, given))
        raise ValueError(
            f"no run in {names}: a run is a folder with a config.yaml, or lies in a file of runs "
            "as under results/"
        )
    return sorted(found.values())


def _below(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from _walk(path)
    elif path.is_file() and path.suffix == ".json" and is_task_file(read_json(path)):
        yield path
    else:
        raise ValueError(f"{path} is no folder, and no file of runs")


def _walk(folder: Path) -> Iterator[Path]:
    for number, (root, below, files) in enumerate(os.walk(folder)):
        if number >= MAX_FOLDERS:
            raise ValueError(f"{folder} holds more than {MAX_FOLDERS:,} folders; name the runs")
        if "config.yaml" in files:
            below.clear()
            yield Path(root)
            continue
        below[:] = [name for name in below if not name.endswith(TRIALS)]
        paths = [Path(root) / name for name in sorted(files) if name.endswith(".json")]
        for path in paths:
            if not path.is_symlink() and is_task_file(read_json(path)):
                yield path
