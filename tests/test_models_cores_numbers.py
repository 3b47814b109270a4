"""The cores where numbers are narrow, extreme or not finite."""

import pytest
import torch

from models.cores import CoreConfig, make_core
from models.cores.lru import LRU
from models.cores.mlstm import step
from tests.test_models_cores import INPUT, RECURRENT, SMALL, random_unroll, small_core


@pytest.mark.parametrize("bptt", ["full", 1])
@pytest.mark.parametrize("value", [torch.nan, torch.inf])
@pytest.mark.parametrize("kind", RECURRENT)
def test_a_start_wipes_what_is_not_finite_and_its_gradient(kind, value, bptt):
    """Selected, never multiplied by 0; lane 0 keeps its memory in view."""
    core = small_core(kind, bptt=bptt)
    x, state, start = random_unroll(core)
    start[0, 1] = True
    want, _ = core(x, state, start)
    want.sum().backward()
    gradients = [p.grad for p in core.parameters()]
    core.zero_grad()
    for tensor in state:
        tensor[1] = value
    y, last = core(x, state, start)
    y.sum().backward()
    assert torch.equal(y, want)
    assert all(tensor.isfinite().all() for tensor in last)
    for parameter, gradient in zip(core.parameters(), gradients, strict=True):
        assert torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("kind", RECURRENT)
def test_autocast_narrows_dense_layers_and_no_recurrence(kind):
    """What a state of 1,000 steps ago is worth would else be lost in bfloat16's 8 bits."""
    torch.manual_seed(0)
    core = make_core(CoreConfig(kind=kind, **SMALL), INPUT)
    x, start = torch.randn(7, 2, INPUT), torch.zeros(7, 2, dtype=torch.bool)
    want, _ = core(x, core.initial_state(2), start)
    with torch.autocast("cpu", torch.bfloat16):
        y, state = core(x, core.initial_state(2), start)
        y.sum().backward()
    assert all(tensor.dtype == torch.float32 for tensor in state)
    assert all(p.grad.isfinite().all() for p in core.parameters())
    assert 0 < float((y - want).detach().norm() / want.norm()) < 0.05


@pytest.mark.parametrize("kind", ["lru", "mlstm", "transformer"])
def test_sizes_are_known_without_memory(kind):
    """On the device `meta`, which autocast does not know."""
    with torch.device("meta"):
        core = make_core(CoreConfig(kind=kind, **SMALL), INPUT)
        start = torch.zeros(4, 2, dtype=torch.bool)
        y, _ = core(torch.zeros(4, 2, INPUT), core.initial_state(2), start)
    assert y.shape == (4, 2, SMALL["hidden_size"])


def test_an_lru_that_hardly_decays_has_its_gain_and_a_gradient():
    """Gamma = sqrt(1 - |lambda|^2), here sqrt(2 e^-20): 1 - 0.999999996 would cancel."""
    lru = LRU(CoreConfig(kind="lru", hidden_size=1))
    lru.log_decay.data.fill_(-20.0)
    slow, start = torch.tensor([1.0, 0.0]).view(1, 1, 1, 2), torch.zeros(1, 1, dtype=torch.bool)
    y, _ = lru(slow, (torch.zeros(1, 1), torch.zeros(1, 1)), start)
    y[0, 0, 0, 0].backward()
    exact = torch.tensor(2.0).mul(torch.tensor(-20.0).exp()).sqrt()
    torch.testing.assert_close(y[0, 0, 0, 0], exact, rtol=1e-5, atol=0)
    torch.testing.assert_close(lru.log_decay.grad, exact[None] / 2, rtol=1e-5, atol=0)


def test_an_mlstm_whose_gates_are_shut_has_a_gradient():
    gates = torch.full((2, 1, 1), -100.0, requires_grad=True)
    q, k, v = torch.ones(3, 1, 1, 4)
    y, _ = step(q, k, v, *gates, torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 4), torch.zeros(1, 1))
    y.sum().backward()
    assert y.isfinite().all()
    assert gates.grad.isfinite().all()
