"""Which derivatives the kernels have: the reference all, the others the first alone or an error."""

import pytest
import torch
from torch.autograd import forward_ad

from tests.kernel_cases import OPERATORS, device_of, make_inputs, sizes
from tests.test_kernels_backends import every_compiled_backend, run

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = sizes(3, 2, 1, 8)

every_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.title)


@every_operator
def test_the_reference_has_second_derivatives_and_those_of_forward_mode(op):
    *floats, start = make_inputs(op, sizes(2, 1, 1, 2)).values()
    checked = {"check_fwd_over_rev": False, "fast_mode": True}
    assert torch.autograd.gradgradcheck(lambda *xs: op.reference(*xs, start), floats, **checked)
    checked = {"check_forward_ad": True, "check_backward_ad": False, "fast_mode": True}
    assert torch.autograd.gradcheck(lambda *xs: op.reference(*xs, start), floats, **checked)


# Of a linear loss the incoming gradients are constants, which torch's own check looks at.
@pytest.mark.parametrize("loss", [torch.square, torch.positive])
@every_compiled_backend
def test_a_second_derivative_is_refused_whichever_input_it_is_of(op, backend, loss):
    for name in op.floats:
        tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
        alone = {n: x if n == name else x.detach() for n, x in tensors.items()}
        total = sum(loss(x).sum() for x in run(op, backend)(*alone.values()))
        with pytest.raises(NotImplementedError, match="once differentiable"):
            torch.autograd.grad(total, alone[name], create_graph=True)


@pytest.mark.parametrize("requires_grad", [False, True])
@every_compiled_backend
def test_a_forward_mode_derivative_is_refused_whichever_input_it_is_of(op, backend, requires_grad):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    for name in op.floats:
        x = tensors[name].detach().requires_grad_(requires_grad)
        with forward_ad.dual_level():
            dual = tensors | {name: forward_ad.make_dual(x, torch.ones_like(x))}
            with pytest.raises(NotImplementedError, match=f"{op.name}: {backend.name} has no forw"):
                run(op, backend)(*dual.values())


@every_compiled_backend
def test_a_transform_of_torch_func_is_refused(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    *floats, start = (x.detach() for x in tensors.values())
    floats = tuple(floats)
    tangents = tuple(map(torch.ones_like, floats))
    with pytest.raises(NotImplementedError, match="has no forward-mode derivatives"):
        torch.func.jvp(lambda *xs: run(op, backend)(*xs, start), floats, tangents)


@every_compiled_backend
def test_vmap_has_the_gradients_of_its_calls_one_by_one(op, backend):
    """A batched tensor says that it needs no gradient, though autograd records the call."""
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    *floats, start = tensors.values()
    rest = [x.detach() for x in floats[1:]]

    def total(x):
        return sum(y.square().sum() for y in run(op, backend)(x, *rest, start))

    both = torch.stack([floats[0].detach(), floats[0].detach() * 0.5]).requires_grad_()
    (got,) = torch.autograd.grad(torch.func.vmap(total)(both).sum(), both)
    (want,) = torch.autograd.grad(sum(map(total, both.unbind())), both)
    torch.testing.assert_close(got, want)


def test_a_compiled_call_without_a_gradient_saves_nothing():
    op = next(op for op in OPERATORS if op.name == "delta_rule")
    backend = next(backend for backend in op.module.BACKENDS if backend.name == "cpu")
    tensors = [x.detach() for x in make_inputs(op, SMALL, torch.float32).values()]
    saves = []

    def look(graph, _):
        saves.extend(n.args[-1] for n in graph.graph.nodes if "fast_weights" in str(n.target))
        return graph.forward

    compiled = torch.compile(run(op, backend), backend=look, fullgraph=True)
    compiled(*tensors)
    tensors[0].requires_grad_()
    compiled(*tensors)
    assert saves == [False, True]


@every_compiled_backend
def test_a_backward_of_a_call_that_saved_nothing_is_refused(op, backend, monkeypatch):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    monkeypatch.setattr("models.kernels.autograd.needs_grad", lambda *inputs: False)
    if op.name == "linear_attention":
        pytest.skip("its backward takes its inputs alone")
    with pytest.raises(NotImplementedError, match="called without a gradient"):
        run(op, backend)(*tensors.values())


@every_compiled_backend
def test_a_dual_level_that_no_input_takes_part_in_changes_nothing(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    want = run(op, backend)(*tensors.values())
    with forward_ad.dual_level():
        got = run(op, backend)(*tensors.values())
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))
