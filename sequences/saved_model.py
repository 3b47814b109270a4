"""A model as a run saved it: its weights, and the settings that trained it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from experiment.checkpoint import load_checkpoint, load_newest
from experiment.structure import check_like
from models.sequence_model import SequenceModel
from sequences.config import SequenceConfig, config_from_values, make_task
from sequences.stand_in import check_vocabulary
from sequences.tasks import Task
from sequences.trainer import make_model, vocabulary

logger = logging.getLogger(__name__)
PARTS = ("config", "vocabulary", "policy", "progress", "trainable")
PROGRESS = {"updates": 0, "tokens": 0}


@dataclass(frozen=True, slots=True)
class SavedModel:
    """A model, the config that trained it, its task, and how far it got."""

    model: SequenceModel
    config: SequenceConfig
    task: Task
    updates: int
    tokens: int


def load_model(source: Path) -> SavedModel:
    """Reads a model from a run folder or a checkpoint.

    Raises:
        ValueError: nothing usable is there, or its weights are of another model or vocabulary.
    """
    folder = source / "checkpoints"
    read = (
        load_newest(folder, check_model)
        if source.is_dir()
        else load_checkpoint(source, check_model)
    )
    config = config_from_values(read["config"])
    config = replace(config, core=replace(config.core, kernel="auto"))  # of this machine
    task = make_task(config.task)
    try:
        check_vocabulary(read["vocabulary"], vocabulary(task))
    except ValueError as error:
        raise ValueError(f"{source} {error}") from None
    if read["trainable"].get("source_hash", task.source_hash) != task.source_hash:
        logger.warning("%s learned from another text than the one that is there now", source)
    model = make_model(config, task)
    model.load_state_dict(read["policy"])
    progress = read["progress"]
    return SavedModel(model.eval(), config, task, progress["updates"], progress["tokens"])


def check_model(payload: Mapping[str, Any]) -> None:
    """Raises ValueError, as a predicate of the file, where a checkpoint holds no usable model."""
    for name in PARTS:
        if not isinstance(payload.get(name), Mapping):
            raise ValueError(f"holds no model of a task with answers: it has no {name}")
    check_like(payload["progress"], PROGRESS, "progress")
    config = config_from_values(payload["config"])
    sizes = [payload["vocabulary"].get(name) for name in ("tokens", "answers")]
    check_like(sizes, [0, 0], "vocabulary")
    with torch.device("meta"):
        model = SequenceModel(sizes[0], sizes[1], config.model, config.core)
    check_like(payload["policy"], model.state_dict(), "policy")
