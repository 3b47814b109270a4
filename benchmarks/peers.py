"""What users would pick instead: Stable-Baselines3's RecurrentPPO on the same environments.

Needs the extra `peers`. Its policy has one shared LSTM of the suite's size behind the plain loop's
convolutions, float32, and learns from as many samples in as many passes. It shuffles single steps
into minibatches where this suite keeps whole unrolls, and it never sees a separate first
observation after an end: its samples are equal in number, not in kind.
"""

import time
from typing import Any

import gymnasium
import numpy as np
import torch
from numpy.typing import NDArray

from agents.impala.config import TrainConfig
from benchmarks.plain_loop import CNNS, lstm_size
from benchmarks.throughput import with_every_core
from envs import make_env
from experiment.device import choose_device


def time_recurrent_ppo(config: TrainConfig, rounds: int) -> list[float]:
    """Returns seconds per rollout, collecting and learning.

    Raises:
        ValueError: the extra `peers` is not installed, or the encoder has no counterpart.
    """
    try:
        from sb3_contrib import RecurrentPPO
    except ImportError:
        raise ValueError("--peers needs the extra: pip install -e '.[peers]'") from None
    if config.encoder.kind not in CNNS:
        raise ValueError(
            f"--peers compares the encoders {', '.join(CNNS)}, not {config.encoder.kind}"
        )
    config = with_every_core(config)
    if config.num_threads:
        torch.set_num_threads(config.num_threads)
    learner = config.learner
    env = make_vec_env(config)
    steps = learner.steps_per_rollout
    model = RecurrentPPO(
        "CnnLstmPolicy",
        env,
        n_steps=learner.unroll_length,
        batch_size=steps // learner.num_minibatches,
        n_epochs=learner.num_passes,
        learning_rate=learner.learning_rate,
        policy_kwargs={
            "features_extractor_class": make_extractor(config),
            "lstm_hidden_size": lstm_size(config),
            "shared_lstm": True,
            "enable_critic_lstm": False,
            "net_arch": [],
        },
        device=choose_device(config.device).type,
    )
    clock = make_clock()
    model.learn((rounds + 2) * steps, callback=clock)
    env.close()
    # the last rollout has no end: the clock ticks when a rollout begins
    return [float(s) for s in np.diff(clock.began)[1:]]


def make_clock() -> Any:
    """Returns a callback that notes when each rollout begins."""
    from stable_baselines3.common.callbacks import BaseCallback

    class Clock(BaseCallback):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__()
            self.began: list[float] = []

        def _on_rollout_start(self) -> None:
            self.began.append(time.perf_counter())

        def _on_step(self) -> bool:
            return True

    return Clock()


def make_extractor(config: TrainConfig) -> Any:
    """Returns a features extractor class around the plain loop's convolutions."""
    from stable_baselines3.common.torch_layers import BaseFeaturesExtractor

    class Extractor(BaseFeaturesExtractor):  # type: ignore[misc]
        def __init__(self, observation_space: gymnasium.spaces.Box) -> None:
            super().__init__(observation_space, config.encoder.size)
            channels, height, width = observation_space.shape
            self.cnn = CNNS[config.encoder.kind](channels, height, width, config.encoder.size)

        def forward(self, pixels: torch.Tensor) -> torch.Tensor:
            features: torch.Tensor = self.cnn(pixels)
            return features

    return Extractor


def make_vec_env(config: TrainConfig) -> Any:
    """Returns the run's environments behind Stable-Baselines3's interface."""
    from stable_baselines3.common.vec_env import VecEnv

    class Adapter(VecEnv):  # type: ignore[misc]
        def __init__(self) -> None:
            self.env = make_env(config.game, config.env, config.learner.batch_size, config.seed)
            spec = self.env.spec
            observations = gymnasium.spaces.Box(0, 255, spec.observation_shape, np.uint8)
            actions = gymnasium.spaces.Discrete(spec.num_actions)
            super().__init__(config.learner.batch_size, observations, actions)

        def reset(self) -> NDArray[np.generic]:
            return self.env.recv().observation

        def step_async(self, actions: NDArray[np.int64]) -> None:
            self.env.send(actions)

        def step_wait(self) -> tuple[Any, ...]:
            row = self.env.recv()
            infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
            return row.observation, np.sign(row.reward), row.terminated | row.truncated, infos

        def close(self) -> None:
            self.env.close()

        def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
            return [None] * self.num_envs

        def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
            raise NotImplementedError

        def env_method(self, method_name: str, *args: Any, **kwargs: Any) -> list[Any]:
            raise NotImplementedError

        def env_is_wrapped(self, wrapper_class: Any, indices: Any = None) -> list[bool]:
            return [False] * self.num_envs

    return Adapter()
