"""The learner: one rollout in, a new version of the weights out.

Makes `num_passes` passes over a rollout in minibatches of environments; every minibatch is one
optimiser step on whole unrolls. V-trace targets are computed again in each. Nothing here knows
about environments or threads.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from agents.impala.loss import Loss, impala_loss
from agents.impala.nonfinite import NonFiniteUpdate, first_nonfinite
from agents.impala.rollout import Rollout
from models.policy import Policy


class Learner:
    """Owns the optimiser and counts updates.

    Args:
        policy: the weights to improve, in place.
        config: how.
        total_updates: updates of the whole run, over which the step size decays.
        generator: random stream of the minibatches, on the CPU.
    """

    def __init__(
        self,
        policy: Policy,
        config: LearnerConfig,
        *,
        total_updates: int,
        generator: torch.Generator,
    ) -> None:
        self.policy = policy
        self.config = config
        self.total_updates = total_updates
        self.generator = generator
        self.optimizer = make_optimizer(policy, config)
        self.version = 0
        self.skipped_updates = 0

    def learn(self, rollout: Rollout) -> dict[str, float]:
        """Improves the policy on a rollout.

        Returns:
            Means over the updates, by metric tag (docs/metrics.md).

        Raises:
            NonFiniteUpdate: a loss, gradient or weight is not finite; before the update, but for
                a weight that the update itself spoilt.
        """
        T, B = rollout.action.shape
        num_actions = self.policy.num_actions
        log_policy_by_pass = torch.zeros(2, T, B, num_actions, device=rollout.action.device)
        lag = self.version - rollout.version
        losses, norms = [], []
        for pass_index in range(self.config.num_passes):
            for columns in self._minibatches(B):
                columns = columns.to(rollout.action.device)
                is_whole = len(columns) == B
                minibatch = rollout if is_whole else rollout.select(columns)
                loss, norm, log_policy = self._update(minibatch)
                losses.append(loss)
                norms.append(norm)
                log_policy_by_pass[min(pass_index, 1)].index_copy_(1, columns, log_policy)
        mean = Loss(*(torch.stack(parts).mean() for parts in zip(*losses, strict=True)))
        metrics = {f"loss/{name}": value.item() for name, value in mean._asdict().items()}
        metrics["loss/gradient_norm"] = torch.stack(norms).mean().item()
        size = torch.nn.utils.get_total_norm([p.detach() for p in self.policy.parameters()])
        if spoilt := first_nonfinite({"the norm of the weights": size}):
            raise NonFiniteUpdate(spoilt, self.version - 1, rollout)
        metrics["learner/lag_updates"] = float(lag)
        metrics["learner/skipped_updates"] = float(self.skipped_updates)
        metrics["learner/learning_rate"] = self.optimizer.param_groups[0]["lr"]
        if self.config.num_passes > 1:
            divergence = mean_divergence(log_policy_by_pass, rollout.valid)
            metrics["policy/first_to_last_pass_kl_nats"] = divergence.item()
        return metrics

    def _minibatches(self, batch_size: int) -> tuple[Tensor, ...]:
        if self.config.num_minibatches == 1:
            return (torch.arange(batch_size),)
        order = torch.randperm(batch_size, generator=self.generator)
        return order.chunk(self.config.num_minibatches)

    def _update(self, minibatch: Rollout) -> tuple[Loss, Tensor, Tensor]:
        """Makes one optimiser step; returns its loss, gradient norm and log pi [T, B, A]."""
        output, _ = self.policy(
            minibatch.observation, minibatch.last_reward, minibatch.start, minibatch.core_state
        )
        total, loss = impala_loss(output, minibatch, self.config)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()  # type: ignore[no-untyped-call]
        norm = torch.nn.utils.clip_grad_norm_(
            self.policy.parameters(), self.config.max_gradient_norm
        )
        spoilt = first_nonfinite({"loss/total": loss.total, "loss/gradient_norm": norm})
        if spoilt and not self.config.skip_nonfinite:
            raise NonFiniteUpdate(spoilt, self.version, minibatch)
        self._set_learning_rate()
        if spoilt:
            self.skipped_updates += 1
        else:
            self.optimizer.step()
        self.version += 1
        log_policy = torch.log_softmax(output.logits[:-1].detach(), dim=-1)
        return loss, norm, log_policy

    def _set_learning_rate(self) -> None:
        left = max(0.0, 1.0 - self.version / self.total_updates) if self.config.anneal else 1.0
        for group in self.optimizer.param_groups:
            group["lr"] = self.config.learning_rate * left

    def state_dict(self) -> dict[str, Any]:
        """Returns everything the next update depends on, save the rollout."""
        return {
            "policy": self.policy.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
            "version": self.version,
            "skipped_updates": self.skipped_updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; the optimiser's settings stay those of `config`."""
        self.policy.load_state_dict(state["policy"])
        settings = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict(state["optimizer"] | {"param_groups": settings})
        self.generator.set_state(state["generator"])
        self.version = state["version"]
        self.skipped_updates = state["skipped_updates"]


def mean_divergence(log_policy_by_pass: Tensor, valid: Tensor) -> Tensor:
    """Returns the mean KL(first || last) in nats over valid rows of [2, T, B, A] log pi."""
    first, last = log_policy_by_pass
    divergence = (first.exp() * (first - last)).sum(-1)
    return torch.where(valid, divergence, 0.0).sum() / valid.sum().clamp(min=1)


MOMENTS = {"adam": ("exp_avg", "exp_avg_sq"), "rmsprop": ("square_avg",)}
"""What torch's optimisers remember of every parameter, beside the number of their steps."""


def optimizer_state_of(
    parameters: Sequence[Tensor], config: LearnerConfig
) -> dict[int, dict[str, Tensor]]:
    """Returns the "state" of the state_dict of an optimiser that has made a step, in structure."""
    return {
        index: {"step": torch.zeros(())} | dict.fromkeys(MOMENTS[config.optimizer], parameter)
        for index, parameter in enumerate(parameters)
    }


def make_optimizer(policy: Policy, config: LearnerConfig) -> torch.optim.Optimizer:
    """Returns the optimiser that `config` names, over all of the policy's parameters."""
    if config.optimizer == "adam":
        return torch.optim.Adam(
            policy.parameters(), lr=config.learning_rate, eps=config.optimizer_epsilon, fused=True
        )
    return torch.optim.RMSprop(
        policy.parameters(),
        lr=config.learning_rate,
        alpha=config.rmsprop_decay,
        eps=config.optimizer_epsilon,
        foreach=True,
    )
