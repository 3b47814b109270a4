"""Where results of evaluations of a run are kept; made sure of before hours are spent on one."""

from pathlib import Path
from typing import Any

from experiment.files import refuse_unwritable, refuse_way_out, unused_path, write_json

RESULTS = "evaluation"  # folder of the results of a run


def owner_folder(source: Path) -> Path:
    """Returns the folder that results of a policy belong to: its run's, or the one it lies in."""
    folder = source if source.is_dir() else source.parent
    return folder.parent if folder.name == "checkpoints" else folder


def result_folder(source: Path, out: Path | None = None) -> Path:
    """Returns the folder of the results of a policy, in which a file can be made; makes nothing.

    Args:
        source: run folder, checkpoint or policy.safetensors.
        out: another folder.

    Raises:
        ValueError: no file can be made there.
    """
    owner = owner_folder(source)
    folder = out or owner / RESULTS
    if out is None:
        refuse_way_out(folder, owner)
    refuse_unwritable(folder)
    return folder


def write_result(folder: Path, name: str, result: dict[str, Any]) -> Path:
    """Writes a result, never over an earlier one of the name; returns where."""
    folder.mkdir(parents=True, exist_ok=True)
    path = unused_path(folder / name)
    write_json(path, result)
    return path
