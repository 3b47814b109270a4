"""V-trace: value targets and policy-gradient advantages from off-policy rollouts.

The actors that made a rollout ran an older policy mu than the learner's pi.
V-trace corrects for that with truncated importance weights rho = pi / mu.

Everything here is time-major and free of model code: plain tensors in, plain
tensors out, no gradient. `loss.py` turns the result into a loss.

Source: Espeholt et al. 2018, IMPALA, section 4.1 (https://arxiv.org/abs/1802.01561).
"""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor


class VTraceTargets(NamedTuple):
    """What the learner regresses to and what it weighs log-probabilities by."""

    values: Tensor  # [T, B] v_s, regression target for V(x_s)
    advantages: Tensor  # [T, B] without rho: each policy loss applies its own ratio


@torch.no_grad()
def vtrace_targets(
    log_rhos: Tensor,
    discounts: Tensor,
    rewards: Tensor,
    values: Tensor,
    bootstrap_value: Tensor,
    valid: Tensor,
    *,
    rho_bar: float = 1.0,
    c_bar: float = 1.0,
    lambda_: float = 1.0,
) -> VTraceTargets:
    """Computes V-trace targets for a batch of unrolls.

    All inputs share one floating dtype and device. T is the unroll length in agent
    steps (one agent step = `frame_skip` emulator frames), B the number of unrolls.

    Args:
        log_rhos: [T, B] log pi(a_t|x_t) - log mu(a_t|x_t).
        discounts: [T, B] gamma, and 0 where step t ended its episode.
        rewards: [T, B] reward for a_t, after clipping.
        values: [T, B] V(x_t) under the learner's parameters.
        bootstrap_value: [B] V(x_T).
        valid: [T, B] bool, false where no action happened (auto-reset); such a row has no
            TD error and no trace, so its target is its own value.
        rho_bar: ceiling on rho in the TD errors; sets the fixed point (0 < rho_bar).
        c_bar: ceiling on rho in the trace; sets the speed (0 < c_bar <= rho_bar).
        lambda_: extra trace decay in [0, 1]; 1 leaves eq. (1) as printed.

    Returns:
        Targets in the input dtype, with no gradient. Advantages are
        r_s + gamma_s (lambda v_{s+1} + (1 - lambda) V(x_{s+1})) - V(x_s), which is
        GAE(lambda) on-policy, and 0 on invalid rows.

    Raises:
        ValueError: if a shape differs from the above, or not 0 < c_bar <= rho_bar.

    Source: IMPALA eq. (1) for the targets, section 4.2 for the advantages.
    """
    sequences = {"discounts": discounts, "rewards": rewards, "values": values, "valid": valid}
    _check_shapes(log_rhos, sequences, bootstrap_value)
    if not 0.0 < c_bar <= rho_bar:
        raise ValueError(f"need 0 < c_bar <= rho_bar, got c_bar={c_bar}, rho_bar={rho_bar}")
    rhos = log_rhos.exp()
    clipped_rhos = rhos.clamp(max=rho_bar)
    traces = torch.where(valid, lambda_ * rhos.clamp(max=c_bar), 0.0)
    next_values = torch.cat([values[1:], bootstrap_value[None]])
    deltas = torch.where(valid, clipped_rhos * (rewards + discounts * next_values - values), 0.0)
    targets = values + decayed_sums(deltas, discounts * traces)

    mixed = lambda_ * targets[1:] + (1 - lambda_) * values[1:]
    next_targets = torch.cat([mixed, bootstrap_value[None]])
    advantages = torch.where(valid, rewards + discounts * next_targets - values, 0.0)
    return VTraceTargets(targets, advantages)


def decayed_sums(terms: Tensor, decays: Tensor) -> Tensor:
    """Returns [T, B] sums s_t = terms_t + decays_t s_{t+1}, with 0 after the last row.

    Each round doubles the rows that a sum reaches over: some 2 log2(T) kernels instead of 2 T. Rows
    of zeros stand below the last, so that a round is the same for all rows, and two buffers take
    turns, as none may be read and written at once.
    """
    T = len(terms)
    sums, factors, new_sums, new_factors = terms.new_zeros(4, 2 * T, *terms.shape[1:]).unbind()
    sums[:T], factors[:T] = terms, decays
    reach = 1
    while reach < T:
        later = slice(reach, reach + T)
        torch.addcmul(sums[:T], factors[:T], sums[later], out=new_sums[:T])
        torch.mul(factors[:T], factors[later], out=new_factors[:T])
        sums, factors, new_sums, new_factors = new_sums, new_factors, sums, factors
        reach *= 2
    return sums[:T]


def _check_shapes(log_rhos: Tensor, sequences: Mapping[str, Tensor], bootstrap: Tensor) -> None:
    T, B = log_rhos.shape
    for name, tensor in sequences.items():
        if tensor.shape != (T, B):
            raise ValueError(f"{name} must be [T, B] = {(T, B)}, got {tuple(tensor.shape)}")
    if bootstrap.shape != (B,):
        raise ValueError(f"bootstrap_value must be [B] = {(B,)}, got {tuple(bootstrap.shape)}")
