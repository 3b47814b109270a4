"""A model that learns a task with answers: a `Trainable`, made from its settings alone."""

import logging
from collections.abc import Generator, Mapping, Sequence
from hashlib import sha256
from typing import Any, ClassVar

import torch
from torch import Tensor

from experiment.device import choose_device, random_state, set_random_state
from experiment.files import file_name
from experiment.nonfinite import NonFiniteUpdate, first_nonfinite
from experiment.optimizer_state import optimizer_state, restore_optimizer
from experiment.progress import Shown
from experiment.ranks import ALONE, Ranks, gradients
from experiment.seeding import derive_seed
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.trainable import StateCheck, Trainable
from models.cores import CoreConfig, kernel_backend
from models.sequence_model import SequenceModel
from sequences.config import SequenceConfig, complete_settings, make_task, step_size
from sequences.packing import Batch
from sequences.scores import Tally, ask, tally
from sequences.stream import make_stream
from sequences.tasks import NO_ANSWER, Task

logger = logging.getLogger(__name__)


class SequenceTrainer(Trainable):
    """One model in training.

    Every rank draws the whole batch and reads its own lanes of it, so that N ranks learn what one
    does; only what dropout zeroes is drawn by each rank for itself.

    Args:
        config: every setting.
        ranks: that train the model together.

    Raises:
        ValueError: a setting cannot work here, or with this number of ranks.
    """

    config: SequenceConfig
    Config = SequenceConfig
    unit = "tokens"
    newest = ("learner/learning_rate",)
    parts: ClassVar[dict[str, str]] = {
        "sequences/tasks/": "task",
        "sequences/packing.py": "task",
        "sequences/trainer.py": "learner",
    }
    memory_settings = "batch.sequences, batch.segment_length or core"

    def __init__(self, config: SequenceConfig, *, ranks: Ranks = ALONE) -> None:
        self.config = config = complete_settings(config)
        self.refuse_uneven(config, ranks.size)
        self.ranks = ranks
        num_lanes = config.batch.lanes // ranks.size
        self._lanes = slice(ranks.rank * num_lanes, (ranks.rank + 1) * num_lanes)
        self.device = choose_device(config.device, ranks)
        self.task = make_task(config.task)
        ranks.refuse_differences(lambda: {"the text's SHA-256": self.task.source_hash})
        torch.manual_seed(derive_seed(config.seed, "model"))
        self.model = make_model(config, self.task).to(self.device)
        self.arithmetic = arithmetic(self.model, config.core, self.device)
        self.optimizer = make_optimizer(self.model, config)
        self.stream = make_stream(self.task, config.batch, derive_seed(config.seed, "examples"))
        torch.manual_seed(derive_seed(config.seed, "dropout", ranks.rank))
        self._state = self.model.initial_state(num_lanes, self.device)
        self._tokens = self._updates = 0

    @staticmethod
    def title(config: SequenceConfig) -> str:
        """Task and core."""
        return f"{config.task.kind} {config.core.kind}"

    @staticmethod
    def run_name(config: SequenceConfig) -> str:
        """Returns the name of a run's folder, where the settings name none."""
        return file_name(f"{config.task.kind}-{config.core.kind}-{config.seed}".lower())

    @staticmethod
    def refuse_uneven(config: SequenceConfig, num_ranks: int) -> None:
        """Raises ValueError where the lanes cannot be dealt out to so many ranks equally."""
        if config.batch.lanes % num_ranks:
            raise ValueError(
                f"batch.lanes, {config.batch.lanes}, must be a multiple of the number of "
                f"processes, got {num_ranks}"
            )

    @staticmethod
    def state_check(config: SequenceConfig) -> StateCheck:
        """Returns the check of checkpoints of a run with these settings."""
        from sequences.stand_in import StandIn  # which is built of parts of a trainer

        return StandIn(config)

    @classmethod
    def restored(
        cls,
        config: SequenceConfig,
        state: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        changes: Changes = NO_CHANGES,
        ranks: Ranks = ALONE,
    ) -> "SequenceTrainer":
        """Returns a trainer that goes on from what `state_dict` and `weights` returned."""
        trainer = cls(config, ranks=ranks)
        trainer.load_state_dict(state, weights)
        return trainer

    @property
    def shown(self) -> Shown:
        """What the display shows, its score first."""
        if self.task.answer_bytes is not None:
            score = [("loss/bits_per_byte", "bits per byte", "{:.3f}")]
        else:
            score = [
                ("accuracy/sequences_share", "sequences without a mistake", "{:.1%}"),
                ("accuracy/answers_share", "right answers", "{:.1%}"),
            ]
        return [*score, ("loss/nats_per_answer", "loss, nats per answer", "{:.4f}")]

    @property
    def done(self) -> int:
        """Tokens learned from, without filler."""
        return self._tokens

    @property
    def updates(self) -> int:
        """Optimiser steps made."""
        return self._updates

    def rows(self) -> Generator[dict[str, float], None, None]:
        """Learns batch after batch up to total_tokens; yields each one's metrics."""
        while self._tokens < self.total:
            yield self._learn(next(self.stream))

    def _learn(self, batch: Batch) -> dict[str, float]:
        """Makes one update; returns its metrics, of answers given before it."""
        rate = step_size(self.config.learner, self._tokens, self.total)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        own = batch.lanes(self._lanes)
        y = self._read(own)
        asked = ask(self.model, y, torch.from_numpy(own.answer).to(self.device))
        loss = -asked.log_prob.sum() / (batch.answer != NO_ANSWER).sum()
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.ranks.sum_all(gradients(self.model.parameters()))
        total = sum(self.ranks.gather(tally(self.task, own, asked)), Tally())
        shares = total.shares(self.task)
        figures = {
            "loss/nats_per_answer": shares["nats_per_answer"],
            "loss/gradient_norm": self._clip(),
        }
        if spoilt := first_nonfinite(figures):
            raise NonFiniteUpdate(spoilt, self._updates, batch_values(batch), skippable=False)
        self.optimizer.step()
        self._updates += 1
        self._tokens += batch.num_tokens
        figures["learner/learning_rate"] = rate
        return figures | self._accuracy(shares)

    def _read(self, batch: Batch) -> Tensor:
        """Returns the core's outputs [T, B, D]; keeps the state where it is carried."""
        token, start = (torch.from_numpy(x).to(self.device) for x in (batch.token, batch.start))
        y: Tensor
        y, state = self.model(token, self._state, start)
        if self.config.batch.segment_length is not None and self.config.batch.carry_state:
            self._state = tuple(tensor.detach() for tensor in state)
        return y

    def _clip(self) -> float:
        limit = self.config.learner.max_gradient_norm
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit or torch.inf)
        return norm.item()

    def _accuracy(self, shares: Mapping[str, float]) -> dict[str, float]:
        """Returns the shares of a batch by metric tag."""
        if "bits_per_byte" in shares:
            return {"loss/bits_per_byte": shares["bits_per_byte"]}
        return {
            "accuracy/answers_share": shares["answer_accuracy"],
            "accuracy/sequences_share": shares["accuracy"],
        }

    def take_row(self, elapsed_seconds: float) -> dict[str, Any]:
        """Returns nothing: the rows of `rows` say it all."""
        return {}

    def policy_values(self) -> dict[str, Any]:
        """Returns what the weights answer in."""
        return {"vocabulary": vocabulary(self.task)}

    def weights(self) -> dict[str, Tensor]:
        """Returns the weights of the model."""
        return self.model.state_dict()

    def state_dict(self) -> dict[str, Any]:
        """Returns everything a resumed run needs beside `weights`."""
        return {
            "tokens": self._tokens,
            "updates": self._updates,
            "optimizer": optimizer_state(self.optimizer),
            "stream": self.stream.state_dict(),
            "source_hash": self.task.source_hash,
            "core_state": [self.ranks.gathered(of).flatten(0, 1) for of in self._state],
            "generators": self.ranks.gather(random_state(self.device)),
        }

    def load_state_dict(self, state: Mapping[str, Any], weights: Mapping[str, Tensor]) -> None:
        """Restores what `state_dict` and `weights` returned, of any number of ranks.

        With another number the streams of dropout begin anew.
        """
        self.model.load_state_dict(weights)
        restore_optimizer(self.optimizer, state["optimizer"])
        self.stream.load_state_dict(state["stream"])
        self._state = tuple(of[self._lanes].to(self.device) for of in state["core_state"])
        self._tokens, self._updates = state["tokens"], state["updates"]
        self._go_on_with_dropout(state["generators"])

    def _go_on_with_dropout(self, generators: Sequence[Tensor]) -> None:
        """Takes up this rank's stream, or begins another where ranks or device have changed."""
        fits = len(generators) == self.ranks.size
        if fits and len(generators[self.ranks.rank]) == len(random_state(self.device)):
            set_random_state(self.device, generators[self.ranks.rank])
            return
        path = "dropout", self.ranks.rank, self._updates
        torch.manual_seed(derive_seed(self.config.seed, *path))
        if self.config.model.dropout:
            logger.warning("saved by other ranks or on another device: dropout draws anew")

    def close(self) -> None:
        """Holds nothing that must be released."""


def make_model(config: SequenceConfig, task: Task) -> SequenceModel:
    """Returns the model that settings describe, for the vocabulary of a task."""
    is_text = task.answer_bytes is not None
    sizes = len(task.tokens), len(task.answers)
    return SequenceModel(*sizes, config.model, config.core, is_text=is_text)


def make_optimizer(model: SequenceModel, config: SequenceConfig) -> torch.optim.Optimizer:
    """Returns Adam as settings describe it."""
    learner = config.learner
    return torch.optim.Adam(
        model.parameters(),
        lr=learner.learning_rate,
        betas=(learner.adam_beta1, learner.adam_beta2),
        eps=learner.adam_epsilon,
        fused=True,
    )


def arithmetic(
    model: SequenceModel, core: CoreConfig, device: torch.device
) -> dict[str, str | None]:
    """Returns what computes a model on a device, as plain values: what `auto` stands for there.

    Raises:
        ValueError: the kernel that the core's settings name cannot run there.
    """
    return {
        "device": device.type,
        "dense_precision": model.arithmetic_on(device),
        "core_kernel": kernel_backend(core, device),
    }


def vocabulary(task: Task) -> dict[str, Any]:
    """Returns the sizes and the hash of what a task's tokens and answers stand for."""
    words = "\n".join((*task.tokens, "", *task.answers))
    return {
        "tokens": len(task.tokens),
        "answers": len(task.answers),
        "sha256": sha256(words.encode("utf-8", "surrogateescape")).hexdigest(),
    }


def batch_values(batch: Batch) -> dict[str, Any]:
    """Returns a batch as tensors by name, fit for a checkpoint."""
    return {name: torch.from_numpy(values) for name, values in batch._asdict().items()}
