"""Whether a run can go on from a checkpoint, found out before anything of the run is touched."""

from collections.abc import Mapping
from typing import Any

import torch

from experiment.device import check_random_state
from experiment.optimizer_state import optimizer_state_like
from experiment.setting_roles import NO_CHANGES, Changes
from experiment.structure import ANY, ListOf, check_like
from sequences.config import SequenceConfig, complete_settings, make_task
from sequences.stream import make_stream
from sequences.trainer import make_model, vocabulary


class StandIn:
    """What a checkpoint of a run must be built like; its model has sizes and no memory.

    Args:
        config: every setting of the run.

    Raises:
        ValueError: a setting cannot work.
    """

    def __init__(self, config: SequenceConfig) -> None:
        self._config = config = complete_settings(config)
        self._task = make_task(config.task)
        with torch.device("meta"):
            self._model = make_model(config, self._task)

    def check(self, payload: Mapping[str, Any], changes: Changes = NO_CHANGES) -> None:
        """Raises ValueError, as a predicate of the file, where a run cannot go on from it."""
        try:
            check_like(payload.get("seconds"), 0.0, "seconds")
            check_like(payload.get("policy"), self._model.state_dict(), "policy")
            check_like(payload.get("trainable"), self._state_like(), "trainable")
            check_vocabulary(payload.get("vocabulary"), vocabulary(self._task))
            state = payload["trainable"]
            has_stepped = state["updates"] > 0  # before that Adam remembers nothing
            like = optimizer_state_like("adam", self._model.parameters() if has_stepped else ())
            check_like(state["optimizer"], like, "trainable.optimizer")
            for generator in state["generators"]:
                check_random_state(generator, "a generator of trainable")
            self._check_place(state["stream"])
            if state["source_hash"] != self._task.source_hash:
                raise ValueError("the text is another one now")
        except (ValueError, TypeError, OverflowError, RuntimeError) as error:
            raise ValueError(f"holds no run to go on with: {error}") from None

    def close(self) -> None:
        """Holds nothing that must be released."""

    def _state_like(self) -> dict[str, Any]:
        """Returns what every trainer of this run saves, however far it got."""
        lanes = self._config.batch.lanes
        return {
            "tokens": 0,
            "updates": 0,
            "optimizer": ANY,
            "stream": ANY,
            "source_hash": "",
            "core_state": list(self._model.initial_state(lanes)),
            "generators": ListOf(ANY),
        }

    def _check_place(self, place: Any) -> None:
        """Checks where the stream of examples stands; a lane may be between two: number -1."""
        like: dict[str, Any] = make_stream(self._task, self._config.batch, 0).state_dict()
        check_like(place, like | ({"places": ANY} if "places" in like else {}), "trainable.stream")
        if "places" in like:
            shifted = [[number + 1, read] for number, read in place["places"]]
            check_like(shifted, [[0, 0]] * self._config.batch.lanes, "trainable.stream.places")


def check_vocabulary(saved: Any, own: Mapping[str, Any]) -> None:
    """Raises ValueError where weights answer in another vocabulary than a task's."""
    if not isinstance(saved, Mapping) or dict(saved) != dict(own):
        sizes = [saved.get(n) for n in ("tokens", "answers")] if isinstance(saved, Mapping) else []
        raise ValueError(
            f"is of another vocabulary (tokens and answers {sizes}) than the task's, which has "
            f"{own['tokens']} tokens and {own['answers']} answers"
        )
