"""The optimiser's step size over a run: linear decay, and a brake on the policy's change.

Cores differ in how far one step of Adam moves the policy (docs/results.md): with `target_kl` each
moves it about equally far per rollout, so that one learning rate suits all of them. Steps grow
where the policy moved too little and shrink where it moved too much.
"""

from agents.impala.config import LearnerConfig

TOLERANCE = 1.5
"""The divergence may lie off its target by this factor, either way."""
CHANGE = 1.05
"""By which one rollout changes the step size."""
LIMIT = 10.0
"""The step size stays within this factor of the configured one, either way."""


class StepSize:
    """What the next update multiplies its direction by.

    Args:
        config: learning_rate, anneal and target_kl.
        total_updates: updates of the whole run, over which step size and target decay to 0.
    """

    def __init__(self, config: LearnerConfig, total_updates: int) -> None:
        self._config = config
        self._total_updates = total_updates
        self.factor = 1.0
        """What `adapt` made of the configured step size; part of a checkpoint."""

    def at(self, version: int) -> float:
        """Returns the step size of the update number `version`."""
        return self._config.learning_rate * self.factor * self._left(version)

    def adapt(self, divergence: float, version: int) -> None:
        """Takes in how far a rollout moved the policy.

        Args:
            divergence: KL(first || last pass) in nats, mean over valid rows.
            version: updates made so far.
        """
        target = self._config.target_kl * self._left(version)
        if target == 0:
            return
        if divergence > TOLERANCE * target:
            self.factor = max(self.factor / CHANGE, 1 / LIMIT)
        elif divergence < target / TOLERANCE:
            self.factor = min(self.factor * CHANGE, LIMIT)

    def _left(self, version: int) -> float:
        """Returns the share of the run that is left, or 1 where nothing decays."""
        return max(0.0, 1.0 - version / self._total_updates) if self._config.anneal else 1.0
