"""How right a saved model answers sequences of a split of its own."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import torch

from experiment.bounds import refuse_below
from experiment.device import choose_device
from experiment.provenance import provenance
from models.cores.args import Value
from models.size import model_size
from sequences.config import make_task, own_settings
from sequences.packing import Batch, Segments, pack
from sequences.saved_model import SavedModel, load_model
from sequences.scores import Tally, ask, tally
from sequences.stand_in import check_vocabulary
from sequences.tasks import SPLITS, Split, Task, examples
from sequences.trainer import arithmetic, vocabulary

Tell = Callable[[int], None]
"""Is told the number of sequences answered so far, after every batch."""


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """How a model is evaluated.

    Args:
        split: train, validation or test. No document of a text is in two of them; examples that are
            drawn can be: there are only so many small ones, of `aa` one string per length.
        examples: sequences of a task that makes them as it is asked; of a text, all are read.
        seed: of the sequences.
        context: of a text: the state is carried from segment to segment of a document, or empty
            where a segment begins.
        args: the task's own settings that are others than in training, as args.NAME.
    """

    split: Split = "test"
    examples: int = 1000
    seed: int = 0
    context: Literal["carried", "reset"] = "carried"
    args: Mapping[str, Value] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(SPLITS)}, got {self.split!r}")
        refuse_below(self, 1, "examples")
        refuse_below(self, 0, "seed")


def evaluate(
    source: Path | SavedModel, config: EvaluationConfig, tell: Tell | None = None
) -> dict[str, Any]:
    """Returns the result of an evaluation, as plain values; computes on a GPU where there is one.

    Args:
        source: run folder or checkpoint, or what is loaded of one.
        config: how.
        tell: is told how far it is.

    Raises:
        ValueError: nothing usable is there, or the task cannot be had with these settings.
    """
    saved = load_model(source) if isinstance(source, Path) else source
    saved = with_args(saved, config.args)
    device = choose_device("auto")
    saved.model.to(device)
    began = time.monotonic()
    total = answer(saved, config, device, tell)
    return {
        **total.shares(saved.task),
        "sequences": total.sequences,
        "answers": total.answers,
        "seconds": time.monotonic() - began,
        "task": saved.config.task.kind,
        "task_args": dict(saved.config.task.args),
        "source_hash": saved.task.source_hash,
        "core": saved.config.core.kind,
        "tokens": saved.tokens,
        "updates": saved.updates,
        "size": model_size(saved.model),
        "arithmetic": arithmetic(saved.model, saved.config.core, device),
        "settings": asdict(config),
        "provenance": provenance(),
    }


def with_args(saved: SavedModel, args: Mapping[str, Value]) -> SavedModel:
    """Returns a saved model with its task at another size; itself where it is of that size.

    Args:
        saved: the model, as it was trained or with other args before.
        args: own settings of the task by name; those left out stay.

    Raises:
        ValueError: there is no such task, or it has another vocabulary.
    """
    named = replace(saved.config.task, args={**saved.config.task.args, **args})
    named = replace(named, args=own_settings(named))
    if named == saved.config.task:
        return saved
    task = make_task(named)
    try:
        check_vocabulary(vocabulary(saved.task), vocabulary(task))
    except ValueError as error:
        raise ValueError(f"the model {error}") from None
    return replace(saved, config=replace(saved.config, task=named), task=task)


@torch.inference_mode()
def answer(
    saved: SavedModel, config: EvaluationConfig, device: torch.device, tell: Tell | None
) -> Tally:
    """Counts what is right and wrong over all batches."""
    total, model = Tally(), saved.model
    state = empty = model.initial_state(saved.config.batch.lanes, device)
    for batch in batches(saved.task, saved, config):
        token, start = (torch.from_numpy(x).to(device) for x in (batch.token, batch.start))
        y, state = model(token, state if config.context == "carried" else empty, start)
        asked = ask(model, y, torch.from_numpy(batch.answer).to(device))
        total += tally(saved.task, batch, asked)
        if tell is not None:
            tell(total.sequences)
    return total


def batches(task: Task, saved: SavedModel, config: EvaluationConfig) -> Iterator[Batch]:
    """Yields a text in segments, and everything else in whole sequences."""
    sizes = saved.config.batch
    if task.answer_bytes is not None:
        if config.split == "train":
            raise ValueError("the train split of a text has no end: choose validation or test")
        if (num_steps := sizes.segment_length) is None:
            raise ValueError("the run read its text in whole documents: too long to be read so")
        yield from Segments(
            task, config.split, config.seed, num_lanes=sizes.lanes, num_steps=num_steps
        )
        return
    if config.context == "reset":
        raise ValueError(
            f"context reset is for texts; {saved.config.task.kind} is read in whole sequences"
        )
    drawn = islice(examples(task, config.split, config.seed), config.examples)
    while some := list(islice(drawn, sizes.sequences)):
        yield pack(some, sizes.lanes)


def summary(result: Mapping[str, Any]) -> str:
    """Returns what a person wants to read of a result."""
    size = ", ".join(f"{name} {value}" for name, value in result["task_args"].items())
    lines = [
        f"{result['task']} ({size}), {result['core']} after {result['tokens']:,} tokens",
        f"{result['sequences']:,} sequences, {result['answers']:,} answers",
    ]
    if "bits_per_byte" in result:
        lines.append(f"bits per byte     {result['bits_per_byte']:.4f}")
    else:
        lines += [
            f"without a mistake {result['accuracy']:.1%}",
            f"right answers     {result['answer_accuracy']:.1%}",
        ]
    return "\n".join(lines)
