"""The learner: one rollout in, a new version of the weights out.

Makes `num_passes` passes over a rollout in minibatches of environments; every minibatch is one
optimiser step on whole unrolls. V-trace targets are computed again in each, from the values of the
first pass. Of several ranks each has a part of every minibatch, and all make the same step. Nothing
here knows about environments or threads.
"""

from typing import Any

import torch
from torch import Tensor

from agents.impala.config import LearnerConfig
from agents.impala.diagnostics import total_divergence
from agents.impala.graphed_update import GraphedUpdate, Updated
from agents.impala.loss import Loss, impala_loss
from agents.impala.minibatches import draw_minibatches
from agents.impala.optimizer import make_optimizer
from agents.impala.rollout import Rollout
from agents.impala.schedules import desired_kl, entropy_cost, step_size
from agents.impala.shown import LAG
from agents.impala.snapshot import Snapshot
from agents.impala.step_factor import next_factor
from agents.impala.streams import finish
from experiment.nonfinite import NonFiniteUpdate, first_nonfinite
from experiment.optimizer_state import optimizer_state, restore_optimizer
from experiment.ranks import ALONE, Ranks, gradients
from models.policy import Policy, PolicyOutput

WEIGHT_NORM = "the norm of the weights"
WEIGHT_SPREAD = "its differences between ranks"
MAX_SPREAD = 1e-4  # ranks on unlike processors round differently
DIVERGENCE = "policy/first_to_last_pass_kl_nats"
TOTAL_LOSS, GRADIENT_NORM = "loss/total", "loss/gradient_norm"
FIGURES = (*(f"loss/{name}" for name in Loss._fields), GRADIENT_NORM)
"""What every update says of itself, by metric tag."""


class Learner:
    """Owns the optimiser and counts updates and frames.

    On a GPU it does not wait for the device after every update to see whether loss and gradient
    are finite, but once, after all of a rollout's. Where something is not, it goes back to where
    it stood before the rollout and learns from it again, looking at every update. From its second
    rollout on, an update is one CUDA graph, unless it exchanges something with other ranks.

    Args:
        policy: the weights to improve, in place.
        config: how.
        total_frames: emulator frames of the whole run, over which step size and entropy cost decay.
        frames_per_rollout: emulator frames in the rollouts of all ranks.
        generator: random stream of the minibatches, on the CPU.
        num_groups: equal parts of the batch of all ranks, of which each minibatch has as much.
        ranks: that learn together; each has whole groups.
    """

    def __init__(
        self,
        policy: Policy,
        config: LearnerConfig,
        *,
        total_frames: int,
        frames_per_rollout: int,
        generator: torch.Generator,
        num_groups: int = 1,
        ranks: Ranks = ALONE,
    ) -> None:
        self.policy = policy
        self.config = config
        self.total_frames = total_frames
        self.frames_per_rollout = frames_per_rollout
        self.generator = generator
        self.num_groups = num_groups
        self.ranks = ranks
        self._parameters = list(policy.parameters())  # which modules take their time to find
        if ranks.size > 1 and policy.centring is not None:
            policy.centring.mean_of_ranks = ranks.mean
        self.optimizer = make_optimizer(policy, config)
        self.version = 0
        self.frames = 0  # emulator frames learned from
        self.skipped_updates = 0
        self.step_factor = 1.0
        self.device = next(policy.parameters()).device
        self._entropy_cost = torch.tensor(config.entropy_cost, device=self.device)
        self.checks_every_update = self.device.type == "cpu"
        self._before = Snapshot()
        self._graphed: GraphedUpdate | None = None

    def learn(self, rollout: Rollout) -> dict[str, float]:
        """Improves the policy on a rollout.

        Returns:
            Means over the updates, by metric tag (docs/metrics.md).

        Raises:
            NonFiniteUpdate: a loss, gradient or weight is not finite; before the update, but for
                a weight that the update itself spoilt.
        """
        metrics = self._checked_passes(rollout)
        weight_norm = {WEIGHT_NORM: metrics.pop(WEIGHT_NORM)}
        if (spread := metrics.pop(WEIGHT_SPREAD)) > MAX_SPREAD:
            raise RuntimeError(f"the ranks' weights have come apart: their norms by {spread:.1e}")
        if spoilt := first_nonfinite(weight_norm):
            raise NonFiniteUpdate(
                spoilt, self.version - 1, self._of_ranks(rollout), skippable=False
            )
        last = self._progress(self.config.updates_per_rollout - 1)
        rate = self.step_factor * step_size(self.config, *last)
        if (desired := desired_kl(self.config, *last)) is not None:
            self.step_factor = next_factor(self.step_factor, metrics[DIVERGENCE], desired)
        self.frames += self.frames_per_rollout
        metrics["learner/skipped_updates"] = float(self.skipped_updates)
        metrics["learner/learning_rate"] = rate
        return metrics

    def _checked_passes(self, rollout: Rollout) -> dict[str, float]:
        """Makes the passes, and again from where they began where one was spoilt unseen."""
        if self.checks_every_update:
            return self._passes(rollout, check=True)
        self._before.take(self)
        metrics = self._passes(rollout, check=False)
        if first_nonfinite(metrics):
            self._before.restore(self)
            metrics = self._passes(rollout, check=True)
        elif self._graphed is None and self.device.type == "cuda" and self.ranks.size == 1:
            self._graphed = GraphedUpdate(self._descend)
        return metrics

    def _passes(self, rollout: Rollout, *, check: bool) -> dict[str, float]:
        """Makes all updates; returns their means and the norm of the weights after them."""
        lag, (T, B) = self.version - rollout.version, rollout.action.shape
        rollout.value.fill_(torch.nan)
        rollout.log_prob.fill_(torch.nan)
        logits_by_pass = None  # [first and last, T, B, A]
        if self.config.num_passes > 1:
            like = next(self.policy.parameters())
            logits_by_pass = like.new_zeros(2, T, B, self.policy.num_actions)
        figures: list[Tensor] = []
        for pass_index, minibatches in enumerate(self._minibatches(B).to(self.device)):
            for columns in minibatches:
                progress = self._progress(len(figures))
                self._set_learning_rate(self.step_factor * step_size(self.config, *progress))
                self._entropy_cost.fill_(entropy_cost(self.config, *progress))
                found, output = self._update(rollout, columns, check=check)
                figures.append(found)
                if logits_by_pass is None:
                    continue
                logits_by_pass[min(pass_index, 1)].index_copy_(1, columns, output.logits[:-1])
                if pass_index == 0:
                    rollout.keep_first_pass(columns, output)
        means = dict(zip(FIGURES, torch.stack(figures).mean(0), strict=True))
        means |= self._after_passes(logits_by_pass, rollout.valid, lag)
        values = torch.stack(list(means.values()))
        finish(self.device)
        return dict(zip(means, values.tolist(), strict=True))

    def _after_passes(
        self, logits_by_pass: Tensor | None, valid: Tensor, lag: int
    ) -> dict[str, Tensor]:
        """Returns what is said of a rollout of all ranks once it is learned, in one exchange."""
        norm = torch.nn.utils.get_total_norm([p.detach() for p in self._parameters])
        divergence = torch.zeros(())
        if logits_by_pass is not None:
            divergence = total_divergence(logits_by_pass.log_softmax(-1), valid)
        own = (divergence, valid.sum(), torch.tensor(lag), norm)
        divergences, rows, lags, norms = self.ranks.gathered(
            torch.stack([value.to(norm) for value in own])
        ).unbind(1)
        found = {}
        if logits_by_pass is not None:
            found[DIVERGENCE] = divergences.sum() / rows.sum().clamp(min=1)
        spread = (norms.max() - norms.min()) / norms.max()
        return found | {WEIGHT_SPREAD: spread, WEIGHT_NORM: norms.max(), LAG: lags.mean()}

    def _minibatches(self, batch_size: int) -> Tensor:
        return draw_minibatches(
            self.config,
            batch_size,
            self.generator,
            num_groups=self.num_groups,
            ranks=self.ranks,
        )

    def _update(self, rollout: Rollout, columns: Tensor, *, check: bool) -> Updated:
        """Makes one optimiser step on some environments; the figures are those of `FIGURES`."""
        if self._graphed is not None and not check:
            found = self._graphed(rollout, columns)
        else:
            is_whole = len(columns) == rollout.action.shape[1]
            minibatch = rollout if is_whole else rollout.select(columns)
            found = self._checked_update(minibatch) if check else self._descend(minibatch)
        self.version += 1
        return found

    def _descend(self, minibatch: Rollout) -> Updated:
        """Makes the step and asks nothing of the device; see `Updated`."""
        found = self._gradients(minibatch)
        self.optimizer.step()
        return found

    def _checked_update(self, minibatch: Rollout) -> Updated:
        """Makes the step unless it would spoil the weights; see `Updated`."""
        figures, output = self._gradients(minibatch)
        checked = (TOTAL_LOSS, GRADIENT_NORM)
        spoilt = first_nonfinite({name: figures[FIGURES.index(name)].item() for name in checked})
        if spoilt and not self.config.skip_nonfinite:
            raise NonFiniteUpdate(spoilt, self.version, self._of_ranks(minibatch), skippable=True)
        if spoilt:
            self.skipped_updates += 1
        else:
            self.optimizer.step()
        return figures, output

    def _of_ranks(self, batch: Rollout) -> dict[str, Any]:
        """Returns the values of a batch, by rank where there are several: all ranks call this."""
        if self.ranks.size == 1:
            return batch.values()
        return {f"rank{i}": values for i, values in enumerate(self.ranks.gather(batch.values()))}

    def _gradients(self, minibatch: Rollout) -> Updated:
        """Leaves the clipped gradients of all ranks with the weights; see `Updated`."""
        output, _ = self.policy(
            minibatch.observation,
            minibatch.last_reward,
            minibatch.last_action,
            minibatch.start,
            minibatch.core_state,
        )
        total, loss = impala_loss(output, minibatch, self.config, self._entropy_cost, self.ranks)
        for parameter in self._parameters:
            parameter.grad = None
        total.backward()  # type: ignore[no-untyped-call]
        figures = torch.stack(loss)
        self.ranks.sum_all([*gradients(self._parameters), figures])
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, self.config.max_gradient_norm)
        before = PolicyOutput(output.logits.detach(), output.value.detach())
        return torch.cat((figures, norm[None])), before

    @property
    def rollouts_left(self) -> int:
        """Rollouts that reach the total."""
        return max(0, -((self.frames - self.total_frames) // self.frames_per_rollout))

    def _progress(self, update: int) -> tuple[int, int]:
        """Returns frames done before one of a rollout's updates, counted from 0, and of all.

        What decays does so from update to update, until after the last of the rollout that reaches
        the total. Frames are counted in parts of an update, so that all numbers are whole.
        """
        updates = self.config.updates_per_rollout
        done = self.frames * updates + update * self.frames_per_rollout
        return done, (self.frames + self.rollouts_left * self.frames_per_rollout) * updates

    def _set_learning_rate(self, rate: float) -> None:
        """Sets the step size of the next updates: on a GPU in the tensor that a graph reads."""
        for group in self.optimizer.param_groups:
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate

    def state_dict(self) -> dict[str, Any]:
        """Returns everything the next update depends on, except the rollout and the weights."""
        return {
            "optimizer": optimizer_state(self.optimizer),
            "generator": self.generator.get_state(),
            "version": self.version,
            "frames": self.frames,
            "skipped_updates": self.skipped_updates,
            "step_factor": self.step_factor,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned; the optimiser's settings stay those of `config`."""
        self._graphed = None  # its optimiser's tensors are replaced
        restore_optimizer(self.optimizer, state["optimizer"])
        self.generator.set_state(state["generator"])
        self.version = state["version"]
        self.frames = state["frames"]
        self.skipped_updates = state["skipped_updates"]
        self.step_factor = state["step_factor"]
