"""The seconds of a core: its forward and its backward pass, and nothing that lies around it."""

import pytest
import torch
from torch import nn

from models.cores import CORES, CoreConfig, make_core
from models.cores.clock import CoreClock

T, B, D = 3, 2, 5


class Slow(torch.autograd.Function):
    """Doubles its input and turns the clock on, in both directions."""

    @staticmethod
    def forward(ctx, x, hands, forward, backward):
        ctx.turn = hands, backward
        hands[0] += forward
        return 2 * x

    @staticmethod
    def backward(ctx, grad):
        hands, backward = ctx.turn
        hands[0] += backward
        return 2 * grad, None, None, None


class SlowCore(nn.Module):
    """Takes 3 seconds forward and 5 backward."""

    def __init__(self, hands):
        super().__init__()
        self.hands = hands
        self.scale = nn.Parameter(torch.ones(()))

    def forward(self, x, state, start):
        return self.scale * Slow.apply(x, self.hands, 3.0, 5.0), state


@pytest.fixture
def hands(monkeypatch):
    hands = [0.0]
    monkeypatch.setattr("models.cores.clock.time.perf_counter", lambda: hands[0])
    return hands


def test_forward_and_backward_count_and_encoder_and_heads_do_not(hands):
    clock, core = CoreClock(), SlowCore(hands)
    weight = torch.ones((), requires_grad=True)
    x = Slow.apply(weight * torch.ones(T, B, D), hands, 100.0, 1000.0)
    y, _ = clock.run(core, x, (), torch.zeros(T, B, dtype=torch.bool))
    assert clock.seconds == 3.0
    policy, value = (Slow.apply(y, hands, 100.0, 1000.0) for _ in range(2))
    (policy.sum() + value.sum()).backward()
    assert hands == [3308.0]
    assert clock.seconds == 8.0
    assert weight.grad == 16 * T * B * D


def test_a_backward_pass_that_does_not_come_through_the_output_is_not_counted(hands):
    clock = CoreClock()
    x = torch.ones(T, B, D, requires_grad=True) * 1.0
    hands[0] = 1000.0

    def core(x, state, start):
        return 2 * x, (3 * x,)

    _, (state,) = clock.run(core, x, (), torch.zeros(T, B, dtype=torch.bool))
    state.sum().backward()
    assert clock.seconds == 0.0


def test_acting_counts_forward_alone(hands):
    clock, core = CoreClock(), SlowCore(hands)
    with torch.inference_mode():
        for _ in range(2):
            clock.run(core, torch.ones(1, B, D), (), torch.zeros(1, B, dtype=torch.bool))
    assert clock.seconds == 6.0


@pytest.mark.parametrize("kind", CORES)
def test_the_clock_changes_no_output_and_no_gradient(kind):
    torch.manual_seed(0)
    core = make_core(CoreConfig(kind=kind, num_layers=1, hidden_size=16, num_heads=2), D)
    given = torch.randn(T, B, D)
    start = torch.zeros(T, B, dtype=torch.bool)
    found = []
    for run in (core, lambda *of: CoreClock().run(core, *of)):
        leaf = given.clone().requires_grad_()
        y, _ = run(leaf * 1.0, core.initial_state(B), start)
        parameters = list(core.parameters())
        found.append((y, *torch.autograd.grad(y.square().sum(), [leaf, *parameters])))
    for plain, timed in zip(*found, strict=True):
        assert torch.equal(plain, timed)
