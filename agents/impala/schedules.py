"""What decays over a run: the step size, how far it may move the policy, the entropy's weight."""

from agents.impala.config import LearnerConfig


def step_size(config: LearnerConfig, frames: int, total_frames: int) -> float:
    """Returns the step size where `frames` of `total_frames` are done, in any unit."""
    if not config.anneal:
        return config.learning_rate
    left = max(0.0, 1.0 - frames / total_frames)
    return config.learning_rate * min(1.0, left / config.cooldown)


def desired_kl(config: LearnerConfig, frames: int, total_frames: int) -> float | None:
    """Returns the KL in nats by which a rollout should move the policy, where one is set.

    It decays as the step size does: in a run whose step size was not led a rollout's KL fell about
    so (docs/pong_trials.md).
    """
    if config.desired_kl is None:
        return None
    left = step_size(config, frames, total_frames) / config.learning_rate
    return config.desired_kl * left


def entropy_cost(config: LearnerConfig, frames: int, total_frames: int) -> float:
    """Returns the entropy's weight where `frames` of `total_frames` are done, in any unit."""
    if config.final_entropy_cost is None:
        return config.entropy_cost
    done = min(1.0, frames / total_frames)
    return config.entropy_cost + (config.final_entropy_cost - config.entropy_cost) * done
