"""Runs on tasks with answers: begun from settings, or gone on with from a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiment import resume as run_on
from experiment import run
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.run_dir import read_status
from experiment.session import SessionConfig
from sequences.config import SequenceConfig, complete_settings
from sequences.trainer import SequenceTrainer

SCORES = {
    "loss/bits_per_byte": "{:.3f} bits per byte",
    "accuracy/sequences_share": "{:.1%} of sequences without a mistake",
    "accuracy/answers_share": "{:.1%} of answers right",
}
"""What a run ends with: the first of these that its rows have."""


def train(config: SequenceConfig, session: SessionConfig = run.DEFAULT_SESSION) -> Path:
    """Trains a new model; see `experiment.run.begin`."""
    return run.begin(SequenceTrainer, complete_settings(config), session)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
) -> Path:
    """Goes on with the training of a model; see `experiment.resume.resume`."""
    return run_on.resume(SequenceTrainer, path, session, given)


def what_next(path: Path) -> str:
    """Returns how a run stands, its folder, and the command that follows."""
    row = newest_row(path / "metrics.jsonl") or {}
    lines = []
    if score := next((form.format(row[tag]) for tag, form in SCORES.items() if tag in row), None):
        done, seconds = row["tokens"], duration(row["wall_seconds"])
        lines.append(f"{score} at the end of training; {done:,} tokens in {seconds}")
    is_finished = read_status(path)["status"] == "finished"
    command = f"evaluate {path}" if is_finished else f"train --resume {path}"
    lines += [f"run folder: {path}", f"next: python run_sequences.py {command}"]
    return "\n".join(lines)
