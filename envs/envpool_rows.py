"""What every environment of envpool shares: asynchronous stepping in its synchronous mode."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from envs.spec import EnvSpec, EnvStep, check_action


class EnvpoolRows(ABC):
    """A `VecEnv` over envpool: B environments in C++ threads.

    Every `recv` hands over arrays that nothing writes to afterwards. A second `recv` without a
    `send` returns the same rows. envpool cannot save its state, so this is no `StatefulVecEnv`.

    Args:
        env: what `envpool.make_gymnasium` returned, with batch_size = num_envs.
        num_envs: B.
    """

    spec: EnvSpec

    def __init__(self, env: Any, num_envs: int) -> None:
        self.num_envs = num_envs
        self._env = env
        self._env_ids = np.arange(num_envs, dtype=np.int32)
        self._is_running = False
        self._step: EnvStep | None = None

    @abstractmethod
    def read(
        self,
        observation: Any,
        reward: NDArray[np.float32],
        terminated: NDArray[np.bool_],
        truncated: NDArray[np.bool_],
        info: dict[str, Any],
    ) -> EnvStep:
        """Returns the rows for what envpool reports, [B, ...] each."""

    def recv(self) -> EnvStep:
        """Returns the next row of every environment; the first call begins all games."""
        if self._step is None:
            if not self._is_running:
                self._env.async_reset()
                self._is_running = True
            self._step = self.read(*self._env.recv())
        return self._step

    def send(self, action: NDArray[np.int64]) -> None:
        """Answers the last `recv` with action [B].

        Raises:
            ValueError: `recv` has not been called since the last `send`, or action is not [B].
        """
        if self._step is None:
            raise ValueError("send answers recv: call recv first")
        check_action(action, self.num_envs)
        self._step = None
        self._env.send(action, self._env_ids)

    def close(self) -> None:
        """Stops the threads."""
        self._env = None  # they end with the pool; its own close leaves them running
