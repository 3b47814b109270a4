"""The weights on their way from the learner to the actors, by version.

The learner publishes a copy after each rollout; an actor loads one between rollouts, the newest
or exactly the one it asks for.
"""

import threading
from collections import OrderedDict

import torch
from torch import Tensor

from agents.impala.streams import finish
from models.policy import Policy


class WeightStore:
    """The newest published weights, as many as `num_kept`.

    Args:
        num_kept: versions held; an older one can no longer be loaded.
    """

    def __init__(self, num_kept: int) -> None:
        self._num_kept = num_kept
        self._published: OrderedDict[int, tuple[int, list[Tensor]]] = OrderedDict()
        self._lock = threading.Lock()

    @torch.no_grad()
    def publish(self, policy: Policy, *, num_learned: int, version: int) -> None:
        """Copies the weights that stand after `num_learned` rollouts and `version` updates."""
        copies = [p.detach().clone() for p in policy.state_dict().values()]
        finish(copies[0].device)
        with self._lock:
            self._published[num_learned] = (version, copies)
            while len(self._published) > self._num_kept:
                self._published.popitem(last=False)

    @torch.no_grad()
    def load(self, policy: Policy, num_learned: int | None = None) -> int:
        """Copies weights into `policy`, the newest or those after `num_learned` rollouts.

        Returns:
            Their version: the updates behind them.
        """
        with self._lock:
            newest = next(reversed(self._published))
            version, copies = self._published[newest if num_learned is None else num_learned]
        for target, source in zip(policy.state_dict().values(), copies, strict=True):
            target.copy_(source)
        finish(copies[0].device)  # before they can be dropped and their memory used again
        return version
