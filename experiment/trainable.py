"""What a run drives: anything that learns step by step and whose state can be saved."""

from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from torch import Tensor

from experiment.config import RunConfig
from experiment.progress import Shown
from experiment.ranks import ALONE, Ranks
from experiment.setting_roles import NO_CHANGES, Changes


class StateCheck(Protocol):
    """Whether a trainable can go on from a checkpoint, found out before anything is touched."""

    def check(self, payload: Mapping[str, Any], changes: Changes) -> None:
        """Raises ValueError, as a predicate of the file, where it cannot.

        Args:
            payload: content of the checkpoint.
            changes: settings that are others now than in the checkpoint.
        """

    def close(self) -> None:
        """Releases what checking held."""


class Trainable(ABC):
    """A model in training, with its data and its optimiser. Made from its settings alone.

    Of several ranks each has one, with a part of the data; what its methods return is of all ranks,
    and all call them in the same order.

    Attributes:
        Config: dataclass of all its settings.
        unit: what its progress counts, such as "frames"; the x axis of its curves. How much of it
            a whole run has is a setting, such as `total_frames`.
        newest: tags of which a row holds the newest value, not the mean since the last row.
        parts: how file names begin, from the repository's root, and what a user calls the work
            done there; "" for work that waits for another part.
        memory_settings: settings that decide how much memory is held, in words.
        config: its settings.
        arithmetic: what computes, by name: what settings that say "auto" came to.
    """

    Config: ClassVar[type[RunConfig]]
    unit: ClassVar[str]
    newest: ClassVar[Sequence[str]]
    parts: ClassVar[Mapping[str, str]]
    memory_settings: ClassVar[str]
    config: Any
    arithmetic: Mapping[str, str | None]

    @abstractmethod
    def __init__(self, config: Any, *, ranks: Ranks = ALONE) -> None:
        """Makes it as it is before the first step."""

    @staticmethod
    @abstractmethod
    def title(config: Any) -> str:
        """Returns what is trained, in few words.

        Raises:
            ValueError: there is no such thing.
        """

    @staticmethod
    @abstractmethod
    def run_name(config: Any) -> str:
        """Returns the name of a run's folder, where the settings name none."""

    @staticmethod
    @abstractmethod
    def refuse_uneven(config: Any, num_ranks: int) -> None:
        """Raises ValueError where the data cannot be dealt out to so many ranks equally."""

    @staticmethod
    @abstractmethod
    def state_check(config: Any) -> StateCheck:
        """Returns the check of checkpoints of a run with these settings."""

    @classmethod
    @abstractmethod
    def restored(
        cls,
        config: Any,
        state: Mapping[str, Any],
        weights: Mapping[str, Tensor],
        changes: Changes = NO_CHANGES,
        ranks: Ranks = ALONE,
    ) -> "Trainable":
        """Returns a trainable that goes on from what `state_dict` and `weights` returned.

        Counts and schedules go on from what happened; what does not fit changed settings begins
        anew. What follows from the changes is logged.

        Args:
            config: its settings now.
            state: of a trainable with the same settings but for the changes.
            weights: likewise.
            changes: settings that were others when the state was saved; all of them may change.
            ranks: that go on together, in any number.
        """

    @classmethod
    def begun(cls, config: Any, ranks: Ranks = ALONE) -> "Trainable":
        """Returns a trainable as it is before a run's first step.

        Raises:
            ValueError: a setting cannot work.
        """
        return cls(config, ranks=ranks)

    @property
    @abstractmethod
    def shown(self) -> Shown:
        """What the display shows, its score first."""

    @property
    def origin(self) -> Mapping[str, Any]:
        """What its first weights came from, as plain values; empty where they were drawn."""
        return {}

    @property
    @abstractmethod
    def done(self) -> int:
        """Units learned from."""

    @property
    def total(self) -> int:
        """Units of the whole run."""
        return int(getattr(self.config, f"total_{self.unit}"))

    @property
    @abstractmethod
    def updates(self) -> int:
        """Optimiser steps made."""

    @property
    def passed_milestone(self) -> bool:
        """Whether the last step brought the run to a checkpoint that is kept for good."""
        return False

    @abstractmethod
    def rows(self) -> Generator[dict[str, float], None, None]:
        """Learns step after step up to `total`; yields each one's metrics, fit for a mean."""

    @abstractmethod
    def take_row(self, elapsed_seconds: float) -> dict[str, Any]:
        """Returns what else a row of metrics says of the time since the last one."""

    @abstractmethod
    def policy_values(self) -> dict[str, Any]:
        """Returns what a reader needs, beside settings and weights, to use what was learned."""

    @abstractmethod
    def weights(self) -> dict[str, Tensor]:
        """Returns the weights that the run exists for."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Returns everything a resumed run needs beside `weights`: tensors and plain values."""

    @abstractmethod
    def close(self) -> None:
        """Releases what it holds."""
