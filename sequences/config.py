"""Every setting of a run on a task with answers."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from experiment.bounds import refuse_below, refuse_not_positive
from experiment.config import RunConfig
from experiment.settings import settings_from_values
from models.cores import CoreConfig, fitted
from models.cores.args import Value, complete
from models.sequence_model import SequenceModelConfig
from sequences.tasks import Task, find_task

RESUMABLE = {"role": "resumable"}


@dataclass(frozen=True, kw_only=True)
class TaskConfig:
    """Which task, at which size.

    Args:
        kind: listops, code_execution, formal or text.
        args: the task's own settings by name, set as task.args.NAME; `--task.kind KIND --help`
            shows those of a task.
    """

    kind: str = "listops"
    args: Mapping[str, Value] = field(default_factory=dict, hash=False)


@dataclass(frozen=True, kw_only=True)
class BatchConfig:
    """What one update learns from.

    Args:
        sequences: whole sequences, laid end to end into the lanes; where segment_length is set,
            the lanes decide instead.
        lanes: B, read side by side; as many as there are sequences pads each in a lane of its own.
        segment_length: T, tokens of each lane, for texts; null takes whole sequences, for the rest.
        carry_state: with segments: the state goes on from one segment to the next; else each
            segment begins with an empty one.
    """

    sequences: int = 64
    lanes: int = 16
    segment_length: int | None = None
    carry_state: bool = True

    def __post_init__(self) -> None:
        refuse_below(self, 1, "sequences", "lanes", "segment_length", group="batch.")
        if self.segment_length is None and self.lanes > self.sequences:
            raise ValueError(
                f"batch.lanes must be at most batch.sequences, {self.sequences}, got {self.lanes}"
            )


@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """How the model is improved: Adam, on the mean of -log p(answer) over the answers of a batch.

    Args:
        learning_rate: step size after the warm-up, > 0.
        warmup_tokens: the step size rises linearly over these.
        anneal: how the step size then falls to 0 at total_tokens; "none" keeps it.
        adam_beta1: decay of the mean of gradients, in [0, 1).
        adam_beta2: decay of the mean of their squares, in [0, 1); 0.995 in the 2021 code.
        adam_epsilon: > 0.
        max_gradient_norm: the gradient's L2 norm is clipped to this; null leaves it.
    """

    learning_rate: float = field(default=3e-4, metadata=RESUMABLE)
    warmup_tokens: int = field(default=0, metadata=RESUMABLE)
    anneal: Literal["none", "linear", "cosine"] = field(default="cosine", metadata=RESUMABLE)
    adam_beta1: float = 0.9
    adam_beta2: float = 0.995
    adam_epsilon: float = 1e-9
    max_gradient_norm: float | None = field(default=1.0, metadata=RESUMABLE)

    def __post_init__(self) -> None:
        above_0 = ("learning_rate", "adam_epsilon", "max_gradient_norm")
        refuse_not_positive(self, *above_0, group="learner.")
        refuse_below(self, 0, "warmup_tokens", group="learner.")
        for name in ("adam_beta1", "adam_beta2"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"learner.{name} must be in [0, 1), got {getattr(self, name)}")


@dataclass(frozen=True, kw_only=True)
class SequenceConfig(RunConfig):
    """A model, the task it learns, and for how long.

    Args:
        total_tokens: tokens of sequences to learn from; the step size follows them.
    """

    task: TaskConfig = field(default_factory=TaskConfig, metadata={"role": "identity"})
    model: SequenceModelConfig = field(
        default_factory=SequenceModelConfig, metadata={"role": "identity"}
    )
    core: CoreConfig = field(default_factory=CoreConfig, metadata={"role": "identity"})
    batch: BatchConfig = field(default_factory=BatchConfig)
    learner: LearnerConfig = field(default_factory=LearnerConfig)
    total_tokens: int = field(default=1_000_000, metadata=RESUMABLE)

    def __post_init__(self) -> None:
        super().__post_init__()
        refuse_below(self, 1, "total_tokens")
        if self.learner.warmup_tokens >= self.total_tokens:
            raise ValueError(
                f"learner.warmup_tokens, {self.learner.warmup_tokens:,}, must be below "
                f"total_tokens, {self.total_tokens:,}"
            )
        find_task(self.task.kind)


def complete_settings(config: SequenceConfig) -> SequenceConfig:
    """Returns settings that name a value for all that depends on the task and the core.

    Raises:
        ValueError: an own setting of either that cannot be, segments where answers are rare, or
            none of a text.
    """
    has_segments = find_task(config.task.kind).has_segments
    if config.batch.segment_length is not None and not has_segments:
        raise ValueError(
            f"batch.segment_length is for texts, which ask at every token; {config.task.kind} is "
            "read in whole sequences: leave it null"
        )
    if config.batch.segment_length is None and has_segments:
        raise ValueError(
            f"documents of {config.task.kind} are too long to be read whole: set "
            "batch.segment_length, 64 in configs/sequences/text.yaml"
        )
    task = replace(config.task, args=own_settings(config.task))
    return replace(config, task=task, core=fitted(config.core, config.model.embedding_size))


def own_settings(task: TaskConfig) -> dict[str, Value]:
    """Returns a value for every own setting of a task.

    Raises:
        ValueError: an unknown name, or a value that cannot be.
    """
    return complete(task.kind, find_task(task.kind).settings, task.args, "task.args")


def make_task(task: TaskConfig) -> Task:
    """Returns the task that settings describe.

    Raises:
        ValueError: there is none such, or its text cannot be had.
    """
    spec = find_task(task.kind)
    return spec.make(spec.settings(**own_settings(task)))


def config_from_values(values: Mapping[str, Any]) -> SequenceConfig:
    """Returns the settings that plain values describe.

    Raises:
        ValueError: an unknown key, a wrong type, or a value out of bounds.
    """
    return settings_from_values(SequenceConfig, values)


def step_size(config: LearnerConfig, done: int, total: int) -> float:
    """Returns the step size where `done` of `total` tokens are learned from."""
    rising = min(1.0, (done + 1) / config.warmup_tokens) if config.warmup_tokens else 1.0
    part = min(1.0, done / total)
    falling = {"none": 1.0, "linear": 1 - part, "cosine": (1 + math.cos(math.pi * part)) / 2}
    return config.learning_rate * rising * falling[config.anneal]
