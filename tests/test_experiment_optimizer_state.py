"""What an optimiser remembers: restored it goes on as before, and it is built as it is said."""

from copy import deepcopy

import pytest
import torch

from experiment.optimizer_state import optimizer_state, optimizer_state_like, restore_optimizer
from experiment.structure import check_like

KINDS = {"adam": torch.optim.Adam, "rmsprop": torch.optim.RMSprop}


def begin(kind, rate=0.1):
    parameters = [torch.ones(2, 3, requires_grad=True), torch.ones(4, requires_grad=True)]
    return parameters, KINDS[kind](parameters, lr=rate)


def step(parameters, optimizer, scale):
    for number, parameter in enumerate(parameters, 1):
        parameter.grad = torch.full_like(parameter, scale * number)
    optimizer.step()


@pytest.mark.parametrize("kind", KINDS)
def test_a_restored_optimiser_makes_the_steps_that_the_saved_one_makes(kind):
    parameters, optimizer = begin(kind)
    step(parameters, optimizer, 3.0)
    others, restored = begin(kind)
    with torch.no_grad():
        for other, parameter in zip(others, parameters, strict=True):
            other.copy_(parameter)
    restore_optimizer(restored, deepcopy(optimizer_state(optimizer)))  # as a file would hold it
    for of in ((parameters, optimizer), (others, restored)):
        step(*of, 0.1)
    for other, parameter in zip(others, parameters, strict=True):
        torch.testing.assert_close(other, parameter, rtol=0, atol=0)


@pytest.mark.parametrize("kind", KINDS)
def test_settings_stay_those_of_the_optimiser_that_goes_on(kind):
    parameters, optimizer = begin(kind)
    step(parameters, optimizer, 3.0)
    _, restored = begin(kind, rate=0.7)
    restore_optimizer(restored, optimizer_state(optimizer))
    assert restored.param_groups[0]["lr"] == 0.7


@pytest.mark.parametrize("kind", KINDS)
def test_what_an_optimiser_remembers_is_built_as_it_is_said(kind):
    parameters, optimizer = begin(kind)
    assert optimizer_state(optimizer) == []
    step(parameters, optimizer, 3.0)
    like = optimizer_state_like(kind, parameters)
    check_like(optimizer_state(optimizer), like, "optimizer")
    with pytest.raises(ValueError, match="must hold"):
        check_like(optimizer_state(optimizer)[:1], like, "optimizer")
