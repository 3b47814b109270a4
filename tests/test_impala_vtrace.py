"""V-trace against the paper's sum, written out in float64, and against its limits."""

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from agents.impala.vtrace import decayed_sums, vtrace_targets

T, B = 7, 3


def random_inputs(seed, dtype):
    rng = torch.Generator().manual_seed(seed)

    def randn(*shape):
        return torch.randn(*shape, generator=rng, dtype=torch.float64)

    discounts = torch.where(torch.rand(T, B, generator=rng) < 0.2, 0.0, 0.97)
    inputs = {
        "log_rhos": 0.7 * randn(T, B),
        "discounts": discounts,
        "rewards": randn(T, B),
        "values": randn(T, B),
        "bootstrap_value": randn(B),
    }
    valid = torch.rand(T, B, generator=rng) < 0.8
    return {k: v.to(dtype) for k, v in inputs.items()} | {"valid": valid}


def paper_sum(log_rhos, discounts, rewards, values, bootstrap_value, valid, rho_bar, c_bar):
    """Eq. (1): v_s = V(x_s) + sum_t gamma^(t-s) (prod c) rho_t (r_t + gamma V(x_t+1) - V(x_t))."""
    rhos = np.exp(log_rhos)
    rho = np.minimum(rhos, rho_bar) * valid
    c = np.minimum(rhos, c_bar) * valid
    v = np.concatenate([values, bootstrap_value[None]])
    targets = values.copy()
    for s in range(T):
        for t in range(s, T):
            weight = np.prod(discounts[s:t] * c[s:t], axis=0)  # empty product is 1
            targets[s] += weight * rho[t] * (rewards[t] + discounts[t] * v[t + 1] - v[t])
    following = np.concatenate([targets[1:], bootstrap_value[None]])
    return targets, valid * (rewards + discounts * following - values)


# Worst over 1000 seeds, of error / (1 + |target|): 3.0e-15 and 1.9e-6 (2026-11-24, CPU).
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 2e-14), (torch.float32, 1.2e-5)])
@pytest.mark.parametrize(("rho_bar", "c_bar"), [(1.0, 1.0), (3.7, 2.2)])
def test_matches_paper_sum(dtype, tolerance, rho_bar, c_bar):
    inputs = random_inputs(seed=0, dtype=dtype)
    expected = paper_sum(
        **{k: v.double().numpy() for k, v in inputs.items()}, rho_bar=rho_bar, c_bar=c_bar
    )
    actual = vtrace_targets(**inputs, rho_bar=rho_bar, c_bar=c_bar)
    for got, want in zip(actual, expected, strict=True):
        assert got.dtype == dtype
        np.testing.assert_allclose(got.double().numpy(), want, rtol=tolerance, atol=tolerance)


def test_on_policy_is_the_n_step_return():
    inputs = random_inputs(seed=1, dtype=torch.float64) | {
        "log_rhos": torch.zeros(T, B, dtype=torch.float64),
        "valid": torch.ones(T, B, dtype=torch.bool),
    }
    returns, expected = inputs["bootstrap_value"], []
    for t in reversed(range(T)):
        returns = inputs["rewards"][t] + inputs["discounts"][t] * returns
        expected.append(returns)
    torch.testing.assert_close(vtrace_targets(**inputs).values, torch.stack(expected[::-1]))


def test_on_policy_advantages_with_lambda_are_gae():
    inputs = random_inputs(seed=4, dtype=torch.float64) | {
        "log_rhos": torch.zeros(T, B, dtype=torch.float64),
        "valid": torch.ones(T, B, dtype=torch.bool),
    }
    following = torch.cat([inputs["values"][1:], inputs["bootstrap_value"][None]])
    deltas = inputs["rewards"] + inputs["discounts"] * following - inputs["values"]
    gae, expected = torch.zeros(B, dtype=torch.float64), []
    for t in reversed(range(T)):
        gae = deltas[t] + 0.9 * inputs["discounts"][t] * gae
        expected.append(gae)
    actual = vtrace_targets(**inputs, lambda_=0.9).advantages
    torch.testing.assert_close(actual, torch.stack(expected[::-1]))


def test_nothing_leaks_across_an_episode_end():
    inputs = random_inputs(seed=2, dtype=torch.float64)
    inputs["discounts"][3] = 0.0
    before = vtrace_targets(**inputs).values[:4]
    inputs["rewards"][4:] += 100.0
    assert torch.equal(vtrace_targets(**inputs).values[:4], before)


def test_truncation_bootstraps_from_the_terminal_observation_only():
    inputs = random_inputs(seed=5, dtype=torch.float64)
    inputs["valid"][:] = True
    inputs["discounts"][:] = 0.97
    inputs["valid"][4] = False  # the row of the observation that the limit cut
    before = vtrace_targets(**inputs).values[:4]
    inputs["rewards"][4:] += 100.0
    inputs["values"][5:] += 100.0
    assert torch.equal(vtrace_targets(**inputs).values[:4], before)
    inputs["values"][4] += 1.0
    assert not torch.equal(vtrace_targets(**inputs).values[:4], before)


@pytest.mark.parametrize("num_steps", [1, 2, 3, 8, 50, 64, 65])
def test_sums_of_any_length_are_the_recurrence(num_steps):
    rng = torch.Generator().manual_seed(0)
    terms = torch.randn(num_steps, B, generator=rng, dtype=torch.float64)
    decays = torch.rand(num_steps, B, generator=rng, dtype=torch.float64)
    decays[num_steps // 2] = 0.0
    sums, following = [], torch.zeros(B, dtype=torch.float64)
    for term, decay in zip(terms.flip(0), decays.flip(0), strict=True):
        following = term + decay * following
        sums.append(following)
    torch.testing.assert_close(
        decayed_sums(terms, decays), torch.stack(sums).flip(0), rtol=1e-13, atol=1e-13
    )


class Operators(TorchDispatchMode):
    """Counts what would be launched on a GPU: every operator but views."""

    def __init__(self):
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.count += not func.is_view
        return func(*args, **(kwargs or {}))


def test_the_number_of_kernels_grows_with_the_logarithm_of_the_steps():
    counts = {}
    for num_steps in (8, 64):
        with Operators() as ran:
            decayed_sums(torch.randn(num_steps, B), torch.rand(num_steps, B))
        counts[num_steps] = ran.count
    assert counts[64] - counts[8] <= 3 * 4  # three more rounds of four


def test_wrong_shape_is_named():
    inputs = random_inputs(seed=3, dtype=torch.float32)
    with pytest.raises(ValueError, match=r"rewards must be \[T, B\] = \(7, 3\), got \(3, 7\)"):
        vtrace_targets(**inputs | {"rewards": inputs["rewards"].T})


@pytest.mark.parametrize(("rho_bar", "c_bar"), [(1.0, 1.1), (1.0, 0.0), (float("nan"), 1.0)])
def test_ceilings_that_contradict_each_other_are_refused(rho_bar, c_bar):
    inputs = random_inputs(seed=3, dtype=torch.float32)
    with pytest.raises(ValueError, match=f"c_bar={c_bar}, rho_bar={rho_bar}"):
        vtrace_targets(**inputs, rho_bar=rho_bar, c_bar=c_bar)
