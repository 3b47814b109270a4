"""A net of two dense layers in each precision: dtypes, and how near to float64 it is."""

import pytest
import torch
from torch import nn

from models.precision import Dense


def two_layers(precision):
    torch.manual_seed(0)
    first, second = Dense(32, 64), Dense(64, 8)
    nn.init.normal_(first.bias)
    for layer in (first, second):
        layer.precision = precision
    return first, second


def outputs_and_gradient(precision, dtype):
    layers = two_layers(precision)
    first, second = (layer.to(dtype) for layer in layers)
    x = torch.randn(40, 32, generator=torch.Generator().manual_seed(1)).to(dtype)
    hidden = first.hidden(x)
    y = second(hidden.relu())
    y.square().mean().backward()
    assert {p.grad.dtype for p in first.parameters()} == {dtype}
    return hidden.dtype, y.detach(), torch.cat([p.grad.flatten() for p in first.parameters()])


def test_what_a_layer_hides_stays_narrow_and_what_leaves_is_wide():
    hidden, y, _ = outputs_and_gradient("bfloat16", torch.float32)
    assert (hidden, y.dtype) == (torch.bfloat16, torch.float32)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_what_is_not_narrow_keeps_its_dtype(dtype):
    hidden, y, _ = outputs_and_gradient("float32", dtype)
    assert hidden == y.dtype == dtype
    assert outputs_and_gradient("bfloat16", torch.float64)[:1] == (torch.float64,)


@pytest.mark.parametrize(("precision", "bound"), [("float32", 1e-6), ("bfloat16", 1e-2)])
def test_both_precisions_compute_the_same_net(precision, bound):
    """Relative norm of the error: 1.2e-7 and 3.9e-3 seen; 8 bits are 4e-3 of a number."""
    exact = outputs_and_gradient("float32", torch.float64)[1:]
    found = outputs_and_gradient(precision, torch.float32)[1:]
    for got, wanted in zip(found, exact, strict=True):
        error = float((got - wanted).norm() / wanted.norm())
        assert error < bound, error


def test_a_layer_without_bias_hides_too():
    layer = Dense(4, 4, bias=False)
    layer.precision = "bfloat16"
    x = torch.randn(3, 4)
    torch.testing.assert_close(layer.hidden(x).float(), layer(x), rtol=0, atol=0)
