"""Where the time of training goes: seconds by part, and how long actors and learner wait."""

from collections.abc import Mapping, Sequence

from agents.impala.actor import Actor
from agents.impala.played import PARTS, mean_of_ranks
from experiment.ranks import Ranks
from models.policy import Policy

WAITS = ("actor", "learner")


class Spent:
    """What this rank spent, since it was last asked.

    Args:
        learner: the policy that learns.
        actors: of this rank.
        ranks: that train together.
    """

    def __init__(self, learner: Policy, actors: Sequence[Actor], ranks: Ranks) -> None:
        self._learner = learner
        self._actors = actors
        self._ranks = ranks
        self._learner_seconds = 0.0
        self._waited: Mapping[str, float] = dict.fromkeys(WAITS, 0.0)  # seconds, async mode
        self._before: dict[str, float] = {}
        self._waited_before: Mapping[str, float] = self._waited

    def learned(self, seconds: float) -> None:
        """Takes in how long a rollout was learned."""
        self._learner_seconds += seconds

    def waited(self, seconds: Mapping[str, float]) -> None:
        """Takes in how long each of WAITS has waited so far."""
        self._waited = seconds

    def take_shares(self) -> dict[str, float]:
        """Returns the shares of the time of all ranks, by metric tag."""
        seconds = mean_of_ranks(self.take_seconds(), self._ranks)
        spent = sum(seconds[part] for part in PARTS)
        return {f"share/{part}": value / spent for part, value in seconds.items()}

    def take_waits(self, elapsed_seconds: float) -> dict[str, float]:
        """Returns the shares of the time elapsed that actors and learner waited, by metric tag."""
        waited = {side: of - self._waited_before[side] for side, of in self._waited.items()}
        self._waited_before = self._waited
        return {
            f"queue/{side}_wait_share": seconds / elapsed_seconds
            for side, seconds in mean_of_ranks(waited, self._ranks).items()
        }

    def take_seconds(self) -> dict[str, float]:
        """Returns seconds by part; in async mode parts overlap.

        Beside PARTS: "core", the part of inference and learner in the core, on a CPU.
        """
        totals: dict[str, float] = {
            "env": sum(actor.env_seconds for actor in self._actors),
            "inference": sum(actor.inference_seconds for actor in self._actors),
            "learner": self._learner_seconds,
        }
        if next(self._learner.parameters()).device.type == "cpu":
            policies = {self._learner, *(actor.policy for actor in self._actors)}
            totals["core"] = sum(policy.core_clock.seconds for policy in policies)
        before, self._before = self._before, totals
        return {part: total - before.get(part, 0.0) for part, total in totals.items()}
