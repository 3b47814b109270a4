"""A model that reads tokens and may answer at each: embedding -> core -> output.

The core is any of `models/cores`, through its contract; a state may be carried from call to call.
Source: the models around the cores in Irie et al. 2021 (https://arxiv.org/abs/2106.06295). Theirs
feed an embedding of the core's size straight into it; here the core's input layer stands between.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from .cores import CoreConfig, CoreState, make_core
from .cores.block import Block
from .precision import Dense, Precise, Precision, compute_dtype, refuse_unknown


@dataclass(frozen=True, kw_only=True)
class SequenceModelConfig:
    """What stands around the core.

    Args:
        embedding_size: features of a token, >= 1.
        dropout: share zeroed in training, in [0, 1), where the 2021 code has it: in a core's
            residual blocks; and of what goes into a core and comes out, where it has no blocks or
            the task is a text.
        cutoffs: numbers of the answers at which an adaptive softmax begins its clusters, for tens
            of thousands of answers of which the first are the most frequent; none is a plain
            softmax. Irie et al. 2021 have 20000, 40000 and 200000 of 267735 words.
        precision: what the dense layers of a built-in core and of a plain softmax compute in;
            parameters, kernels and what goes between layers, but for the hidden units of a
            feed-forward, are float32. "auto" is bfloat16 on a CPU or GPU with instructions for it,
            else float32.
    """

    embedding_size: int = 128
    dropout: float = 0.0
    cutoffs: tuple[int, ...] = ()
    precision: Precision = "auto"

    def __post_init__(self) -> None:
        if self.embedding_size < 1:
            raise ValueError(f"model.embedding_size must be >= 1, got {self.embedding_size}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"model.dropout must be in [0, 1), got {self.dropout}")
        if list(self.cutoffs) != sorted({cutoff for cutoff in self.cutoffs if cutoff > 0}):
            raise ValueError(f"model.cutoffs must rise from above 0, got {list(self.cutoffs)}")
        refuse_unknown("model.precision", self.precision)


class SequenceModel(nn.Module):
    """Embedding, core and output.

    Args:
        num_tokens: size of the vocabulary that is read.
        num_answers: A, size of the set of answers.
        config: settings of what stands around the core.
        core: core settings.
        is_text: whether the next token is asked for.

    Raises:
        ValueError: no such core, or cutoffs that do not fit the answers.
    """

    def __init__(
        self,
        num_tokens: int,
        num_answers: int,
        config: SequenceModelConfig,
        core: CoreConfig,
        *,
        is_text: bool = False,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(num_tokens, config.embedding_size)
        self.core = make_core(core, config.embedding_size)
        blocks = [module for module in self.core.modules() if isinstance(module, Block)]
        for block in blocks:
            block.dropout = config.dropout
        self.dropout = nn.Dropout(0.0 if blocks and not is_text else config.dropout)
        self.output = make_output(self.core.output_size, num_answers, config.cutoffs)
        self.precision = config.precision
        for module in self.modules():
            if isinstance(module, Precise):
                module.precision = config.precision

    def arithmetic_on(self, device: torch.device) -> str:
        """Returns what its dense layers compute in."""
        return str(compute_dtype(self.precision, device)).removeprefix("torch.")

    def initial_state(self, batch_size: int, device: torch.device | None = None) -> CoreState:
        """Returns the core's state before the first token of batch_size lanes."""
        return self.core.initial_state(batch_size, device)

    def forward(self, token: Tensor, state: CoreState, start: Tensor) -> tuple[Tensor, CoreState]:
        """Reads T tokens.

        Args:
            token: [T, B] int64.
            state: core state before step 0, as `initial_state` or an earlier call gave it.
            start: [T, B] bool, true where a sequence begins: the state is zeroed before the token.

        Returns:
            The core's outputs [T, B, D], for the rows of `self.output` that are of interest, and
            the state after step T - 1.
        """
        y, state = self.core(self.dropout(self.embedding(token)), state, start)
        return self.dropout(y), state


class Asked(NamedTuple):
    """What a model makes of N answers that count."""

    log_prob: Tensor  # [N] nats, of the right answer; with gradient
    right: Tensor  # [N] bool, whether the likeliest answer is the right one


class Output(nn.Module, ABC):
    """Turns outputs of the core into answers."""

    @abstractmethod
    def forward(self, y: Tensor, answer: Tensor) -> Asked:
        """Asks for the right answers [N] int64 of a core's outputs y [N, D]."""


class Softmax(Output):
    """Every answer has a row of weights of its own."""

    def __init__(self, size: int, num_answers: int) -> None:
        super().__init__()
        self.linear = Dense(size, num_answers)

    def forward(self, y: Tensor, answer: Tensor) -> Asked:
        """See `Output.forward`."""
        logits = self.linear(y)
        log_prob = -functional.cross_entropy(logits, answer, reduction="none")
        return Asked(log_prob, logits.argmax(-1) == answer)


class AdaptiveSoftmax(Output):
    """Rare answers share clusters, all with a core's features; PyTorch's own.

    Source: Grave et al. 2017 (https://arxiv.org/abs/1609.04309). As in the 2021 code no cluster has
    fewer features than another; there the weights are those of the embedding too, here not.
    """

    def __init__(self, size: int, num_answers: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        self.softmax = nn.AdaptiveLogSoftmaxWithLoss(size, num_answers, list(cutoffs), div_value=1)

    def forward(self, y: Tensor, answer: Tensor) -> Asked:
        """See `Output.forward`."""
        log_prob = self.softmax(y, answer).output
        with torch.no_grad():
            return Asked(log_prob, self.softmax.predict(y) == answer)


def make_output(size: int, num_answers: int, cutoffs: tuple[int, ...]) -> Output:
    """Returns the output layer for a core's outputs of a size.

    Raises:
        ValueError: a cutoff beyond the answers.
    """
    if not cutoffs:
        return Softmax(size, num_answers)
    if cutoffs[-1] >= num_answers:
        raise ValueError(
            f"model.cutoffs must be below the number of answers, {num_answers}, got {cutoffs[-1]}"
        )
    return AdaptiveSoftmax(size, num_answers, cutoffs)
