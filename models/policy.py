"""The policy: encoder, core and heads; one time-major forward for acting and learning."""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from .centring import Centring, limited
from .cores import CoreConfig, CoreState, make_core
from .cores.clock import CoreClock
from .encoders import EncoderConfig, make_encoder

NO_ACTION = -1
"""Stands for the last action where there was none."""
LAST_REWARD_LIMIT = 1.0
"""The policy sees the last reward clipped to this size, whatever the learner clips rewards to."""


@dataclass(frozen=True, kw_only=True)
class PolicyConfig:
    """What a policy sees beside observations, and what its heads are given.

    Args:
        last_reward: the reward that arrived with the observation, as the agents of 2021 do. Where
            it tells what is to be remembered, as the parity of bits, no memory is needed to use it.
        last_action: its own last action, as one-hot; nothing at the start of a memory. Many
            partially observable games cannot be solved without it.
        head_gain: the policy head's first weights are orthogonal with this gain, > 0, and its
            biases 0, so that a small one begins near uniform (Andrychowicz et al. 2020,
            https://arxiv.org/abs/2006.05990, advise 0.01); null leaves torch's own.
        centre_features: what the heads are given is scaled down where it is large, so that no step
            moves them far (`limited`), and the policy head is given it less its running mean, so
            that noise makes no action likelier in all states (`Centring`).
        skip_core: the heads are given the core's input, and its output times a gain that begins at
            0 and is learned, so that a policy which needs no memory begins as if it had none.
            Parisotto et al. 2019 (https://arxiv.org/abs/1910.06764) begin a transformer so; the
            learned gain is Bachlechner et al.'s (2020, https://arxiv.org/abs/2003.04887).
    """

    last_reward: bool = True
    last_action: bool = False
    head_gain: float | None = None
    centre_features: bool = False
    skip_core: bool = False

    def __post_init__(self) -> None:
        if self.head_gain is not None and not self.head_gain > 0:
            raise ValueError(f"policy.head_gain must be > 0 or null, got {self.head_gain}")


def core_input_size(encoder_size: int, num_actions: int, config: PolicyConfig) -> int:
    """Returns the features of a row of the core: the encoder's, and of what else is seen."""
    return encoder_size + config.last_reward + num_actions * config.last_action


class PolicyOutput(NamedTuple):
    """What the policy says of T steps of B environments."""

    logits: Tensor  # [T, B, A] float32, unnormalised log-probabilities of the actions
    value: Tensor  # [T, B] float32, V(x_t)


class Policy(nn.Module):
    """Encoder -> features, clipped last reward, last action -> core -> policy and value heads.

    Args:
        observation_shape: shape of one observation, without the batch.
        observation_dtype: "uint8" or "float32".
        num_actions: A.
        encoder: encoder settings.
        core: core settings.
        config: what else it sees.
        symbols: of observations that are vectors of symbols, how many values each entry can have.

    Raises:
        ValueError: the encoder does not fit the observation.
    """

    def __init__(
        self,
        observation_shape: tuple[int, ...],
        observation_dtype: str,
        num_actions: int,
        encoder: EncoderConfig,
        core: CoreConfig,
        config: PolicyConfig | None = None,
        symbols: tuple[int, ...] = (),
    ) -> None:
        super().__init__()
        self.num_actions = num_actions
        config = config or PolicyConfig()
        self.sees_last_reward = config.last_reward
        self.sees_last_action = config.last_action
        self.encoder = make_encoder(encoder, observation_shape, observation_dtype, symbols)
        input_size = core_input_size(self.encoder.output_size, num_actions, config)
        self.core = make_core(core, input_size)
        self.core_clock = CoreClock()
        size = self.core.output_size + input_size * config.skip_core
        self.core_gain: nn.Parameter | None = None
        if config.skip_core:
            self.core_gain = nn.Parameter(torch.zeros(1))
        self.centring = Centring(size) if config.centre_features else None
        self.policy_head = nn.Linear(size, num_actions)
        self.value_head = nn.Linear(size, 1)
        if config.head_gain is not None:
            nn.init.orthogonal_(self.policy_head.weight, config.head_gain)
            nn.init.zeros_(self.policy_head.bias)

    def initial_state(self, batch_size: int, device: torch.device | None = None) -> CoreState:
        """Returns the core's state before the first step of batch_size environments."""
        return self.core.initial_state(batch_size, device)

    def encode(self, observation: Tensor) -> Tensor:
        """Returns features [T, B, F] float32 of observation [T, B, *observation_shape]."""
        features: Tensor = self.encoder(observation.flatten(0, 1))
        return features.view(*observation.shape[:2], -1)

    def forward(
        self,
        observation: Tensor,
        last_reward: Tensor,
        last_action: Tensor,
        start: Tensor,
        state: CoreState,
    ) -> tuple[PolicyOutput, CoreState]:
        """Runs an unroll; acting is T = 1.

        Args:
            observation: [T, B, *observation_shape] in the environment's dtype.
            last_reward: [T, B] float32 raw reward that arrived with the observation; clipped here
                to `LAST_REWARD_LIMIT`. Unread unless `PolicyConfig.last_reward`.
            last_action: [T, B] int64 action that led to the observation; `NO_ACTION` where memory
                begins anew. Unread unless `PolicyConfig.last_action`.
            start: [T, B] bool, true where memory begins anew at this row.
            state: core state before row 0, as `initial_state` or an earlier call gave it.

        Returns:
            Logits and values, and the core state after row T - 1.
        """
        parts = [self.encode(observation)]
        if self.sees_last_reward:
            reward = last_reward.clamp(-LAST_REWARD_LIMIT, LAST_REWARD_LIMIT)
            parts.append(reward.unsqueeze(-1))
        if self.sees_last_action:
            actions = torch.arange(self.num_actions, device=last_action.device)
            parts.append((last_action.unsqueeze(-1) == actions).float())
        x = torch.cat(parts, dim=-1)
        y, state = self.core_clock.run(self.core, x, state, start)
        return self._heads(x, y), state

    def _heads(self, x: Tensor, y: Tensor) -> PolicyOutput:
        """Returns what the heads make of the core's input and output, each [T, B, size]."""
        if self.centring is not None:
            x, y = limited(x), limited(y)
        features = y if self.core_gain is None else torch.cat((self.core_gain * y, x), dim=-1)
        value = self.value_head(features).squeeze(-1)
        centred = features if self.centring is None else self.centring(features)
        return PolicyOutput(self.policy_head(centred), value)
