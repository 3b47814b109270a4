"""Runs on tasks with answers: begun from settings, or gone on with from a folder."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from experiment import resume as run_on
from experiment import run
from experiment.live import duration
from experiment.metrics import newest_row
from experiment.ranks import ALONE, Ranks
from experiment.session import SessionConfig
from experiment.training_command import Training
from models.cores import refuse_unused
from sequences.config import SequenceConfig, complete_settings
from sequences.trainer import SequenceTrainer

SCORES = {
    "loss/bits_per_byte": "{:.3f} bits per byte",
    "accuracy/sequences_share": "{:.1%} of sequences without a mistake",
    "accuracy/answers_share": "{:.1%} of answers right",
}
"""What a run ends with: the first of these that its rows have."""


def train(
    config: SequenceConfig, session: SessionConfig = run.DEFAULT_SESSION, ranks: Ranks = ALONE
) -> Path:
    """Trains a new model; see `experiment.resume.begin_or_go_on`."""
    return run_on.begin_or_go_on(SequenceTrainer, complete_settings(config), session, ranks)


def resume(
    path: Path,
    session: SessionConfig = run.DEFAULT_SESSION,
    given: Mapping[str, Any] | None = None,
    ranks: Ranks = ALONE,
) -> Path:
    """Goes on with the training of a model; see `experiment.resume.resume`."""
    return run_on.resume(SequenceTrainer, path, session, given, ranks)


def score_of(path: Path) -> str | None:
    """Returns a line with a run's newest score; None before its first row."""
    row = newest_row(path / "metrics.jsonl", SequenceTrainer.unit) or {}
    score = next((form.format(row[tag]) for tag, form in SCORES.items() if tag in row), None)
    if score is None:
        return None
    done, seconds = row["tokens"], duration(row["wall_seconds"])
    return f"{score} at the end of training; {done:,} tokens in {seconds}"


def refuse(config: SequenceConfig, typed: set[str]) -> None:
    """Raises ValueError where a command line says too little, or what its core has no use for."""
    refuse_unused(config.core.kind, typed)
    if not {"task.kind", "config"} & typed:
        raise ValueError(
            "train on what? Name a task (--task.kind listops) or settings "
            "(--config configs/sequences/listops.yaml); alone this would train "
            f"{SequenceTrainer.title(config)} for {config.total_tokens:,} tokens "
            f"into {run.folder_of(SequenceTrainer, config)}"
        )


TRAINING = Training(kind=SequenceTrainer, train=train, score=score_of, refuse=refuse)
