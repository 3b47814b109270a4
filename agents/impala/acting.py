"""One step of acting: forward pass and sampled action, on a GPU as one CUDA graph."""

from typing import Protocol

import torch
from torch import Tensor

from models.cores import CoreState
from models.policy import Policy

WARM_UP = 3
"""Calls before the capture, in which Triton compiles and cuDNN chooses its algorithms."""


class ActStep(Protocol):
    """A way to act on one row of every environment."""

    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> tuple[Tensor, Tensor, CoreState]:
        """Acts once.

        Args:
            observation: [1, B, ...] in the environment's dtype.
            last_reward: [1, B] float32.
            last_action: [1, B] int64, `NO_ACTION` where there was none.
            start: [1, B] bool.
            state: of the core; may be written in place.

        Returns:
            action [B] int64, its log-probability [B] float32, and the core's state.
        """


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

    @torch.inference_mode()
    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> tuple[Tensor, Tensor, CoreState]:
        """Acts once; see `ActStep`."""
        output, state = self.policy(observation, last_reward, last_action, start, state)
        action, log_prob = sample_action(output.logits[0], self.generator)
        return action, log_prob, state


class GraphedActStep:
    """The same kernels captured once and replayed: one launch per step.

    Inputs are copied to where the graph reads them; the state stays where the graph writes it.
    """

    def __init__(self, step: EagerActStep) -> None:
        self._step = step
        self._graph: torch.cuda.CUDAGraph | None = None

    @torch.inference_mode()
    def __call__(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> tuple[Tensor, Tensor, CoreState]:
        """Acts once; see `ActStep`. The results stand until the next call."""
        if self._graph is None:
            self._capture(observation, last_reward, last_action, start, state)
        assert self._graph is not None
        given = (observation, last_reward, last_action, start, *state)
        for held, new in zip((*self._inputs, *self._state), given, strict=True):
            if held is not new:
                held.copy_(new)
        self._graph.replay()
        return self._action, self._log_prob, self._state

    @torch.inference_mode()
    def _capture(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> None:
        self._inputs = (
            observation.clone(),
            last_reward.clone(),
            last_action.clone(),
            start.clone(),
        )
        self._state = tuple(s.clone() for s in state)
        generator = self._step.generator
        drawn = generator.get_state()
        stream = torch.cuda.Stream(observation.device)  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream(observation.device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                self._step(*self._inputs, self._state)
        stream.synchronize()
        generator.set_state(drawn)  # the warm-up took numbers that belong to the game
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(generator)
        # thread_local: the learner's thread may allocate meanwhile
        with torch.cuda.graph(self._graph, stream=stream, capture_error_mode="thread_local"):
            self._action, self._log_prob, new_state = self._step(*self._inputs, self._state)
            for held, new in zip(self._state, new_state, strict=True):
                held.copy_(new)


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
