"""The ranks of a run: equal processes that train one model, each with its own part of the data.

`torchrun` starts them (or `launch.py`, which is the same) and names them in the environment;
everything between them goes through `torch.distributed`: gloo on CPUs, NCCL between GPUs. All
ranks make the same exchanges in the same order. A process that nobody started so is alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor
from torch.distributed.distributed_c10d import PrefixStore, _set_pg_timeout
from torch.distributed.rendezvous import rendezvous

from experiment.orphans import end_with_parent
from experiment.rank_signs import Signs, SignWatch
from experiment.stop_signals import signals_end_at_once
from experiment.torchrun import is_rank, num_restarts
from experiment.watchdog import standstill

START_SECONDS = 1800.0
"""How long a rank is waited for until the first step is learned: kernels are compiled in it."""
Made = TypeVar("Made")


class RankLost(RuntimeError):
    """Another rank ended, or does not answer; the message names it and its cause."""


class EndedElsewhere(Exception):
    """This process ends by what another rank says; its argument is the exit code."""


def gradients(weights: Iterable[Tensor]) -> list[Tensor]:
    """Returns the gradient of every weight, zeros where a step had no use for it.

    All ranks exchange as many, and the optimiser remembers as much, whatever a step used.
    """
    found = []
    for weight in weights:
        if weight.grad is None:  # such as that of a cluster of the adaptive softmax
            weight.grad = torch.zeros_like(weight)
        found.append(weight.grad)
    return found


@dataclass(slots=True)
class Ranks:
    """The ranks as one of them sees them.

    Args:
        rank: its own number, from 0; the first one writes the run folder.
        size: how many there are.
        local_rank: its number on its machine.
        signs: how it hears of the others' end; None where it is alone.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    signs: Signs | None = None
    _is_waiting: bool = False

    @property
    def is_first(self) -> bool:
        """Whether this is the rank that writes."""
        return self.rank == 0

    def sum_all(self, tensors: Sequence[Tensor]) -> None:
        """Replaces tensors of one dtype and device by their sums over all ranks: one exchange."""
        if self.size == 1:
            return
        flat = torch.cat([tensor.reshape(-1) for tensor in tensors])
        with self._exchange():
            dist.all_reduce(flat)
        sizes = [tensor.numel() for tensor in tensors]
        parts = flat.split(sizes)  # type: ignore[no-untyped-call]  # torch has no types here
        summed = [part.view_as(tensor) for part, tensor in zip(parts, tensors, strict=True)]
        torch._foreach_copy_(list(tensors), summed)

    def mean(self, tensor: Tensor) -> Tensor:
        """Returns the mean of a tensor over all ranks; so is its gradient.

        All ranks must go backward through it where one does.
        """
        if self.size == 1:
            return tensor
        mean: Tensor = _Mean.apply(tensor, self)  # type: ignore[no-untyped-call]
        return mean

    def gathered(self, tensor: Tensor) -> Tensor:
        """Returns a tensor of every rank, [N, *shape] in their order."""
        if self.size == 1:
            return tensor[None]
        parts = [torch.empty_like(tensor) for _ in range(self.size)]
        with self._exchange():
            dist.all_gather(parts, tensor)
        return torch.stack(parts)

    def gather(self, value: Made) -> list[Made]:
        """Returns a value of every rank, in their order."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        with self._exchange():
            dist.all_gather_object(values, value)
        return values

    def from_first(self, value: Made | None) -> Made:
        """Returns the first rank's value."""
        sent: list[Any] = [value]
        if self.size > 1:
            with self._exchange():
                dist.broadcast_object_list(sent, src=0)
        made: Made = sent[0]
        return made

    def on_first(self, make: Callable[[], Made]) -> Made | None:
        """Returns what the first rank makes, None on the others, which wait; an error ends all.

        Raises:
            EndedElsewhere: it raised something, and says what.
        """
        made, is_made = None, False
        try:
            made, is_made = (make() if self.is_first else None), True
        finally:
            is_made = self.from_first(is_made)
        if not is_made:
            raise EndedElsewhere(2)
        return made

    def refuse_differences(self, values: Callable[[], Mapping[str, Any]]) -> None:
        """Raises ValueError, on the first rank, where another one has other values by name."""
        if self.size == 1:
            return
        of_ranks = self.gather(dict(values()))
        for rank, other in enumerate(of_ranks):
            names = [n for n in {**of_ranks[0], **other} if of_ranks[0].get(n) != other.get(n)]
            if names and not self.is_first:
                raise EndedElsewhere(2)
            if names:
                texts = [f"{n} {other.get(n)} and not {of_ranks[0].get(n)}" for n in names]
                raise ValueError(f"rank {rank} has {', '.join(texts)}: all ranks must be the same")

    def limit_waits(self, seconds: float) -> None:
        """Waits for all ranks; from now on one is waited for this long at most."""
        if self.size > 1:
            with self._exchange():
                dist.all_reduce(torch.zeros(1))  # or a slow rank would be late by the new limit
            _set_pg_timeout(timedelta(seconds=seconds))

    def watched(
        self, parts: Mapping[str, str], give_up: Callable[[str], None]
    ) -> AbstractContextManager[object]:
        """Returns a context in which this rank hears of the others' end, and tells its place.

        Args:
            parts: of a run, as the watchdog takes them.
            give_up: called with the cause where this rank cannot end by itself.
        """
        if self.signs is None:
            return nullcontext()
        return SignWatch(self.signs, lambda: "" if self._is_waiting else standstill(parts), give_up)

    @contextmanager
    def _exchange(self) -> Iterator[None]:
        """Says which rank it was where an exchange fails."""
        self._is_waiting = True
        try:
            yield
        except RuntimeError as error:
            assert self.signs is not None
            raise RankLost(self.signs.cause()) from error
        finally:
            self._is_waiting = False


ALONE = Ranks()


class _Mean(torch.autograd.Function):
    """The mean over ranks, which is its own derivative: all give and all get equally."""

    @staticmethod
    def forward(ctx: Any, tensor: Tensor, ranks: Ranks) -> Tensor:
        ctx.ranks = ranks
        return _summed(tensor, ranks) / ranks.size

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return _summed(gradient, ctx.ranks) / ctx.ranks.size, None


def _summed(tensor: Tensor, ranks: Ranks) -> Tensor:
    total = tensor.clone()
    ranks.sum_all([total])
    return total


@contextmanager
def joined() -> Iterator[Ranks]:
    """Yields the ranks that this process is one of; leaves them together, or tells why not.

    Raises:
        ValueError: their port is in use.
        EndedElsewhere: another rank ended first, and says why.
    """
    if not is_rank():
        yield ALONE
        return
    with signals_end_at_once():
        ranks = _join()
    try:
        yield ranks
        ranks.limit_waits(START_SECONDS)  # none leaves while another one still writes
    except EndedElsewhere:
        raise
    except BaseException as error:
        if not (_tell(ranks, error) or ranks.is_first):
            raise EndedElsewhere(2 if isinstance(error, ValueError) else 1) from error
        raise
    finally:
        dist.destroy_process_group()


def _join() -> Ranks:
    end_with_parent()
    waits = timedelta(seconds=START_SECONDS)
    try:
        store, rank, size = next(iter(rendezvous("env://", timeout=waits)))
    except dist.DistNetworkError as error:
        place = ":".join(os.environ[f"MASTER_{part}"] for part in ("ADDR", "PORT"))
        raise ValueError(f"the ranks cannot meet at {place}: {error}; try another port") from None
    store = PrefixStore(f"try {num_restarts()}", store)  # torchrun may keep what the last one left
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
        store=PrefixStore("group", store),
        rank=rank,
        world_size=size,
        timeout=waits,
    )
    local_rank = int(os.environ.get("LOCAL_RANK", rank))
    return Ranks(rank, size, local_rank, Signs(store, rank, size))


def _tell(ranks: Ranks, error: BaseException) -> bool:
    """Tells the others why this rank ends; returns whether it is the first to end."""
    assert ranks.signs is not None
    own = " ".join(f"rank {ranks.rank}: {type(error).__name__}: {error}".split())
    return ranks.signs.tell(str(error) if isinstance(error, RankLost) else own)
