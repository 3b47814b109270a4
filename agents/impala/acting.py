"""One step of acting: forward pass and sampled action, on a GPU as one CUDA graph."""

from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from agents.impala.graphs import capture
from agents.impala.streams import ACTING, sleeping_event
from models.cores import CoreState
from models.policy import Policy

Acted = tuple[Tensor, Tensor, CoreState]
"""Actions [B] int64, their log-probabilities [B] float32, and the core's state."""


class ActStep(Protocol):
    """A way to act on one row of every environment."""

    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> Acted:
        """Acts once.

        Args:
            observation: [1, B, ...] in the environment's dtype.
            last_reward: [1, B] float32.
            last_action: [1, B] int64, `NO_ACTION` where there was none.
            start: [1, B] bool.
            state: of the core; may be written in place.
        """

    def answer(self) -> NDArray[np.int64]:
        """Returns the last call's actions [B] on the host, once the device has them."""


def make_act_step(policy: Policy, generator: torch.Generator) -> ActStep:
    """Returns the fastest way to act on the policy's device.

    Args:
        policy: read at every call; its weights may change in place.
        generator: random stream of the actions, on the policy's device.
    """
    step = EagerActStep(policy, generator)
    return GraphedActStep(step) if generator.device.type == "cuda" else step


class EagerActStep:
    """The policy called as it is."""

    def __init__(self, policy: Policy, generator: torch.Generator) -> None:
        self.policy = policy
        self.generator = generator
        self._action: Tensor | None = None

    @torch.inference_mode()
    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> Acted:
        """Acts once; see `ActStep`."""
        output, state = self.policy(observation, last_reward, last_action, start, state)
        self._action, log_prob = sample_action(output.logits[0], self.generator)
        return self._action, log_prob, state

    def answer(self) -> NDArray[np.int64]:
        """Returns the last call's actions; see `ActStep`."""
        assert self._action is not None
        array: NDArray[np.int64] = self._action.cpu().numpy()
        return array


class GraphedActStep:
    """The same kernels captured once and replayed: one launch per step.

    Inputs are copied to where the graph reads them; the state stays where the graph writes it.
    """

    def __init__(self, step: EagerActStep) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None
        self._answered = sleeping_event()

    @torch.no_grad()
    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> Acted:
        """Acts once; see `ActStep`. The results stand until the next call."""
        given: tuple[Tensor, ...] = (observation, last_reward, last_action, start, *state)
        if self._graph is None:
            self._capture(*given)
        assert self._graph is not None
        for held, new in zip((*self._inputs, *self._state), given, strict=True):
            if held is not new:
                held.copy_(new)
        self._graph.replay()
        self._answer.copy_(self._action, non_blocking=True)
        self._answered.record(torch.cuda.current_stream(observation.device))
        return self._action, self._log_prob, self._state

    def answer(self) -> NDArray[np.int64]:
        """Returns the last call's actions; see `ActStep`."""
        self._answered.synchronize()
        array: NDArray[np.int64] = self._answer.numpy().copy()
        return array

    def _capture(self, *given: Tensor) -> None:
        """Captures a step; outside inference mode, which would mark the tensors of later graphs."""
        observation, last_reward, last_action, start, *state = (x.clone() for x in given)
        self._inputs, self._state = (observation, last_reward, last_action, start), tuple(state)
        self._graph, (self._action, self._log_prob) = capture(
            self._act, observation.device, priority=ACTING, generator=self._step.generator
        )
        self._answer = torch.empty(self._action.shape, dtype=torch.int64, pin_memory=True)

    def _act(self) -> tuple[Tensor, Tensor]:
        action, log_prob, new_state = self._step(*self._inputs, self._state)
        for held, new in zip(self._state, new_state, strict=True):
            held.copy_(new)
        return action, log_prob


def sample_action(logits: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Samples from the softmax of `logits` by the Gumbel-max trick.

    Args:
        logits: [B, A] float32.
        generator: random stream on the logits' device.

    Returns:
        action [B] int64 and its log-probability [B] float32.
    """
    log_probs = torch.log_softmax(logits, dim=-1)
    noise = torch.empty_like(logits).exponential_(generator=generator)
    action = (log_probs - noise.log()).argmax(dim=-1)
    return action, log_probs.gather(-1, action[:, None])[:, 0]
