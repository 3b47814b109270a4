"""What a user would write without this suite: a single-file recurrent PPO loop.

Plain PyTorch in float32, `nn.LSTM` called once per step with its state masked by hand, torch's own
convolutions, envpool's synchronous `step`. The yardstick of `bench throughput`: same game, number
of environments, encoder shape, unroll, passes, minibatches and optimiser as the suite's own run.

After the recurrent agents of CleanRL (https://docs.cleanrl.dev/rl-algorithms/ppo/), written anew.
"""

import numpy as np
import torch
from torch import Tensor, nn
from torch.distributions import Categorical

from agents.impala.config import TrainConfig
from benchmarks.timing import now
from envs import make_env
from envs.spec import EnvSpec
from experiment.device import choose_device
from models.cores import CoreConfig, resolved

GAE_LAMBDA = 0.95


class PlainAgent(nn.Module):
    """CNN, LSTM and two heads."""

    def __init__(self, config: TrainConfig, spec: EnvSpec) -> None:
        super().__init__()
        channels, height, width = spec.observation_shape
        hidden_size = lstm_size(config)
        self.cnn = CNNS[config.encoder.kind](channels, height, width, config.encoder.size)
        self.lstm = nn.LSTM(config.encoder.size, hidden_size)
        self.actor = nn.Linear(hidden_size, spec.num_actions)
        self.critic = nn.Linear(hidden_size, 1)

    def forward(
        self, pixels: Tensor, done: Tensor, state: tuple[Tensor, Tensor]
    ) -> tuple[Categorical, Tensor, tuple[Tensor, Tensor]]:
        """Runs pixels [T, B, C, H, W] and done [T, B]; returns policy, value [T, B], state."""
        T, B = done.shape
        features = self.cnn(pixels.flatten(0, 1).float() / 255.0).view(T, B, -1)
        outputs = []
        for x, d in zip(features, done, strict=True):
            kept = (1.0 - d).view(1, -1, 1)
            y, state = self.lstm(x[None], (kept * state[0], kept * state[1]))
            outputs.append(y)
        y = torch.cat(outputs)
        return Categorical(logits=self.actor(y)), self.critic(y).squeeze(-1), state


def lstm_size(config: TrainConfig) -> int:
    """Returns the size of the LSTM beside a run: of its own LSTM, or the suite's default."""
    core = config.core if config.core.kind == "lstm" else CoreConfig(kind="lstm")
    (size,) = resolved(core).sizes("hidden_size")
    return size


def small_cnn(channels: int, height: int, width: int, features: int) -> nn.Module:
    """Returns the two strided convolutions of the suite's small encoder."""
    rows, columns = (((side - 8) // 4 + 1 - 4) // 2 + 1 for side in (height, width))
    return nn.Sequential(
        nn.Conv2d(channels, 16, 8, stride=4),
        nn.ReLU(),
        nn.Conv2d(16, 32, 4, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * rows * columns, features),
        nn.ReLU(),
    )


class Residual(nn.Module):
    """x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        convolutions = (nn.Conv2d(channels, channels, 3, padding=1) for _ in range(2))
        self.block = nn.Sequential(*(m for c in convolutions for m in (nn.ReLU(), c)))

    def forward(self, x: Tensor) -> Tensor:
        """Returns planes in the shape of x."""
        planes: Tensor = x + self.block(x)
        return planes


def impala_cnn(channels: int, height: int, width: int, features: int) -> nn.Module:
    """Returns the residual CNN of IMPALA."""
    layers: list[nn.Module] = []
    for out in (16, 32, 32):
        pool = nn.MaxPool2d(3, stride=2, padding=1)
        layers += [nn.Conv2d(channels, out, 3, padding=1), pool, Residual(out), Residual(out)]
        channels, height, width = out, (height + 1) // 2, (width + 1) // 2
    layers += [nn.ReLU(), nn.Flatten(), nn.Linear(channels * height * width, features), nn.ReLU()]
    return nn.Sequential(*layers)


CNNS = {"small": small_cnn, "impala": impala_cnn}
"""The suite's encoders that have a counterpart here."""


class PlainLoop:
    """Collects a rollout and learns from it, one call of `step` each."""

    def __init__(self, config: TrainConfig) -> None:
        self.config = config
        learner = config.learner
        self.device = device = choose_device(config.device)
        self.env = make_env(config.game, config.env, learner.batch_size, config.seed)
        self.agent = PlainAgent(config, self.env.spec).to(device)
        self.optimizer = torch.optim.Adam(
            self.agent.parameters(), lr=learner.learning_rate, eps=1e-5
        )
        T, B = learner.unroll_length, learner.batch_size
        shape = self.env.spec.observation_shape
        self.pixels = torch.zeros(T, B, *shape, dtype=torch.uint8, device=device)
        self.actions = torch.zeros(T, B, dtype=torch.int64, device=device)
        self.log_probs, self.rewards, self.dones, self.values = torch.zeros(4, T, B, device=device)
        hidden, cell = torch.zeros(2, 1, B, lstm_size(config), device=device)
        self.state = (hidden, cell)
        self.next_pixels, self.next_done = self._receive()[::2]

    def step(self) -> float:
        """Runs one rollout and its updates; returns seconds."""
        began = now(self.device)
        start_state = (self.state[0].clone(), self.state[1].clone())
        self._collect()
        self._learn(start_state)
        return now(self.device) - began

    def close(self) -> None:
        """Closes the environments."""
        self.env.close()

    def _receive(self) -> tuple[Tensor, Tensor, Tensor]:
        row = self.env.recv()
        reward = torch.from_numpy(np.sign(row.reward).astype(np.float32))
        rows = (torch.from_numpy(row.observation), reward, torch.from_numpy(row.start).float())
        pixels, reward, start = (x.to(self.device) for x in rows)
        return pixels, reward, start

    def _collect(self) -> None:
        for t in range(len(self.pixels)):
            self.pixels[t], self.dones[t] = self.next_pixels, self.next_done
            with torch.no_grad():
                policy, value, self.state = self.agent(
                    self.next_pixels[None], self.next_done[None], self.state
                )
                action = policy.sample()
                self.log_probs[t] = policy.log_prob(action)[0]
            self.values[t] = value[0]
            self.actions[t] = action[0]
            self.env.send(action[0].cpu().numpy())
            self.next_pixels, self.rewards[t], self.next_done = self._receive()

    @torch.no_grad()
    def _advantages(self) -> Tensor:
        _, next_value, _ = self.agent(self.next_pixels[None], self.next_done[None], self.state)
        gamma = self.config.learner.discount
        advantages = torch.zeros_like(self.rewards)
        value_after, done_after, last = next_value[0], self.next_done, torch.zeros(())
        for t in reversed(range(len(self.rewards))):
            kept = gamma * (1.0 - done_after)
            delta = self.rewards[t] + kept * value_after - self.values[t]
            last = delta + kept * GAE_LAMBDA * last
            advantages[t], value_after, done_after = last, self.values[t], self.dones[t]
        return advantages

    def _learn(self, start_state: tuple[Tensor, Tensor]) -> None:
        learner = self.config.learner
        advantages = self._advantages()
        returns = advantages + self.values
        for _ in range(learner.num_passes):
            for columns in torch.randperm(learner.batch_size).chunk(learner.num_minibatches):
                state = (start_state[0][:, columns], start_state[1][:, columns])
                self._update(columns, state, advantages[:, columns], returns[:, columns])

    def _update(
        self, columns: Tensor, state: tuple[Tensor, Tensor], advantages: Tensor, returns: Tensor
    ) -> None:
        learner = self.config.learner
        policy, value, _ = self.agent(self.pixels[:, columns], self.dones[:, columns], state)
        ratio = (policy.log_prob(self.actions[:, columns]) - self.log_probs[:, columns]).exp()
        advantages = (advantages - advantages.mean()) / (advantages.std() + 1e-8)
        clip = learner.surrogate_clip
        surrogate = torch.max(
            -advantages * ratio, -advantages * ratio.clamp(1 - clip, 1 + clip)
        ).mean()
        loss = (
            surrogate
            + learner.value_cost * 0.5 * (value - returns).square().mean()
            - learner.entropy_cost * policy.entropy().mean()
        )
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.agent.parameters(), learner.max_gradient_norm)
        self.optimizer.step()
