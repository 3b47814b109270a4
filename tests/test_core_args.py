"""A core's own settings: checked, completed, shown by the help, and computed as written."""

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Literal

import pytest
import torch

import run_atari
from agents.impala.config import TrainConfig
from comparison.agent_runs import AGENTS
from comparison.grouping import settings
from models.cores import CORES, CoreConfig, core_spec, make_core, resolved
from models.cores.args import complete


@dataclass(frozen=True, kw_only=True)
class Own:
    size: int
    rate: float = 0.5
    mode: Literal["sum", 1] = "sum"
    depth: int | None = None

    def __post_init__(self):
        if self.size < 1:
            raise ValueError(f"core.args.size must be >= 1, got {self.size}")


def test_what_is_left_out_is_the_default_and_a_whole_number_may_stand_for_a_float():
    values = complete("mine", Own, {"size": 3, "rate": 2})
    assert values == {"size": 3, "rate": 2.0, "mode": "sum", "depth": None}
    assert type(values["rate"]) is float
    assert complete("mine", None, {}) == {}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "mine needs core.args.size"),
        ({"size": 0}, "core.args.size must be >= 1, got 0"),
        ({"size": 1, "rte": 1.0}, "mine has no core.args.rte: .*; close: core.args.rate$"),
        ({"size": True}, "core.args.size must be int, got True"),
        ({"size": 1.5}, "core.args.size must be int, got 1.5"),
        ({"size": 1, "rate": "fast"}, "core.args.rate must be float, got 'fast'"),
        ({"size": 1, "mode": "sim"}, "mode must be one of sum, 1, got 'sim'; close: sum"),
        ({"size": 1, "mode": True}, "mode must be one of sum, 1, got True"),
        ({"size": 1, "depth": "deep"}, "depth must be int or null, got 'deep'"),
    ],
)
def test_what_does_not_fit_is_refused(given, message):
    with pytest.raises(ValueError, match=message):
        complete("mine", Own, given)


def test_a_core_without_settings_of_its_own_refuses_all():
    with pytest.raises(ValueError, match=r"lstm has no core\.args\.gain: it has no settings"):
        resolved(CoreConfig(kind="lstm", args={"gain": 1}))


def test_the_help_shows_the_settings_of_the_core_that_is_named(capsys):
    for kind, is_shown in (("delta_net", True), ("lstm", False)):
        with pytest.raises(SystemExit):
            run_atari.main(["train", "--core.kind", kind, "--help"])
        assert ("--core.args.key_norm {sum,softmax,l2}" in capsys.readouterr().out) == is_shown


@pytest.mark.parametrize("kind", ["delta_net", "rdn"])
@pytest.mark.parametrize("norm", ["sum", "softmax", "l2"])
@pytest.mark.parametrize("beta_range", [1, 2])
def test_the_keys_and_strengths_of_a_delta_net_and_of_an_rdn(kind, norm, beta_range):
    args = {"key_norm": norm, "beta_range": beta_range}
    sizes = {"num_layers": 1, "hidden_size": 6, "num_heads": 2, "feedforward_size": 4}
    core = make_core(CoreConfig(kind=kind, kernel="reference", args=args, **sizes), 5)
    net = core.double().blocks[0].fast_net
    rng = torch.Generator().manual_seed(0)
    slow = torch.randn(1, 1, 2, 10, generator=rng, dtype=torch.float64)
    W = torch.randn(1, 2, 3, 3, generator=rng, dtype=torch.float64)
    before = torch.randn(1, 2, 3, generator=rng, dtype=torch.float64)
    state = (W, before) if kind == "rdn" else (W,)
    accesses = net.accesses(slow[0], state)["W"]
    y, (after, *_) = net(slow, state, torch.zeros(1, 1, dtype=torch.bool))

    def scaled(x):
        if norm == "l2":
            return x / (x @ x) ** 0.5
        positive = x.exp() if norm == "softmax" else torch.where(x > 0, x + 1, x.exp())
        return positive / (positive.sum() + (1e-5 if norm == "sum" else 0))

    for head in range(2):
        seen = slow[0, 0, head]
        if kind == "rdn":
            a = before[0, head].tanh()
            recurrent = [R[head].T @ a for R in (net.r_q, net.r_k, net.r_v)]
            seen = seen + torch.cat([*recurrent, (net.r_b[head] @ a)[None]])
        q, k, v, b = seen.split([3, 3, 3, 1])
        beta = beta_range / (1 + (-b).exp())
        for got, want in zip(
            (accesses.query, accesses.key, accesses.strength),
            (scaled(q), scaled(k), beta[0]),
            strict=True,
        ):
            torch.testing.assert_close(got[0, head], want, rtol=1e-12, atol=1e-12)
        M = W[0, head]
        M = M + torch.outer(scaled(k), beta * (v - M.T @ scaled(k)))
        torch.testing.assert_close(after[0, head], M, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(y[0, 0, head], M.T @ scaled(q), rtol=1e-12, atol=1e-12)


def test_a_run_from_before_a_setting_is_one_at_its_default():
    def record(core):
        return SimpleNamespace(kind=AGENTS, config=TrainConfig(core=core), task="tmaze")

    plain = settings(record(CoreConfig(kind="delta_net")))
    assert plain == settings(record(resolved(CoreConfig(kind="delta_net"))))
    assert plain["core.args.key_norm"] == "sum"
    other = settings(record(CoreConfig(kind="delta_net", args={"key_norm": "l2"})))
    assert other["core.args.key_norm"] == "l2"


def test_every_declared_default_is_one_that_fits():
    for kind in CORES:
        declared = core_spec(kind).args
        assert complete(kind, declared, {}) == resolved(CoreConfig(kind=kind)).args


def test_settings_that_differ_in_args_are_other_settings_and_can_be_keys():
    one, other = (CoreConfig(kind="delta_net", args={"beta_range": n}) for n in (1, 2))
    assert one != other
    assert {one: 1, other: 2}[CoreConfig(kind="delta_net", args={"beta_range": 2})] == 2
