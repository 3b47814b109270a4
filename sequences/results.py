"""What is kept of an evaluation: a file whose name says what was asked."""

from pathlib import Path
from typing import Any

from experiment.files import file_name
from experiment.result_folder import write_result


def save_result(folder: Path, result: dict[str, Any]) -> Path:
    """Writes a result, never over an earlier one; returns where."""
    return write_result(folder, f"{result_name(result)}.json", result)


def result_name(result: dict[str, Any]) -> str:
    """Returns what sets an evaluation apart: update, split, size, seed, and what differs."""
    settings = result["settings"]
    parts = [f"{result['updates']:012d}", settings["split"]]
    parts += [settings["context"] if "bits_per_byte" in result else str(settings["examples"])]
    parts += [str(settings["seed"])]
    parts += [f"{name}{value}" for name, value in settings["args"].items()]
    return file_name("-".join(parts))
