"""Memory layouts, bad numbers, empty calls, torch.library and torch.compile, for every backend."""

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from tests.kernel_cases import (
    device_of,
    errors,
    is_interpreted,
    make_inputs,
    outputs_and_gradients,
    sizes,
)
from tests.test_kernels_backends import (
    BOUND,
    COMPILED,
    every_backend,
    every_compiled_backend,
    named,
    run,
)

pytestmark = pytest.mark.usefixtures("one_thread")

SMALL = sizes(5, 2, 1, 8)


def sliced(op, tensors):
    """Returns the same values as slices of one batch-major slow net output, and odd strides."""
    rows = {
        name: tensors[name].detach().unsqueeze(-1) if dims.endswith("H") else tensors[name].detach()
        for name, dims in op.layout.items()
        if dims.startswith("T") and name != "start"
    }
    parts = {}
    for lead in {x.shape[:-1] for x in rows.values()}:
        together = {name: x for name, x in rows.items() if x.shape[:-1] == lead}
        joined = torch.cat(list(together.values()), dim=-1)
        slow = joined.transpose(0, 1).contiguous().transpose(0, 1)
        widths = [x.shape[-1] for x in together.values()]
        parts |= dict(zip(together, slow.split(widths, dim=-1), strict=True))
    result = {}
    for name, x in tensors.items():
        part = parts.get(name, x.detach())
        part = part.squeeze(-1) if part.ndim > x.ndim else part
        if name not in parts:  # states and weights too: nothing may count on their strides
            part = torch.stack([part, part], dim=-1)[..., 0]
        result[name] = part if name == "start" else part.requires_grad_()
    return result


@every_backend
def test_slices_of_one_slow_net_output_give_the_same_results(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    views = sliced(op, tensors)
    assert not any(
        x.is_contiguous() for name, x in views.items() if op.has_heads or name != "gates"
    )
    got = outputs_and_gradients(op, run(op, backend), views)
    want = outputs_and_gradients(op, run(op, backend), tensors)
    assert all(error < BOUND[torch.float32] for error in errors(got, want).values())


@every_backend
def test_a_transposed_last_dimension_gives_the_same_results(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    turned = {
        n: x
        if n == "start"
        else x.detach().mT.contiguous().mT.requires_grad_()
        if x.ndim > 2
        else x
        for n, x in tensors.items()
    }
    got = outputs_and_gradients(op, run(op, backend), turned)
    want = outputs_and_gradients(op, run(op, backend), tensors)
    assert all(error < BOUND[torch.float32] for error in errors(got, want).values())


@every_backend
def test_one_state_expanded_over_the_batch_and_a_summed_loss_work(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    leaves = [tensors[name] for name in op.floats]
    expanded = tensors | {n: tensors[n][:1].expand(*tensors[n].shape) for n in op.states}
    repeated = {n: x.clone() for n, x in expanded.items()}
    got, want = (
        torch.autograd.grad(sum(x.sum() for x in run(op, backend)(*ts.values())), leaves)
        for ts in (expanded, repeated)
    )
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@every_backend
def test_nan_passes_through_until_a_start_and_stays_in_its_row(op, backend):
    clean = make_inputs(op, SMALL, torch.float32, device_of(backend), start_rate=0)
    clean["start"][3, 0] = True
    for name in (n for n in op.floats if op.layout[n].startswith("T")):
        dirty = clean | {name: clean[name].detach().clone()}
        dirty[name].select(op.layout[name].split().index("B"), 0)[1] = float("nan")
        got, *last = run(op, backend)(*dirty.values())
        want, *end = run(op, backend)(*clean.values())
        touched = got[1:3, 0].isnan()
        assert touched.any(), name
        assert touched[0].all() or op.has_heads, name
        after = got.clone()
        after[1:3, 0] = want[1:3, 0]
        assert torch.equal(after, want), name
        assert all(torch.equal(a, b) for a, b in zip(last, end, strict=True)), name


def of_first_row_and_head(dims):
    """Returns the index of all that batch row 0 and head 0 have of a tensor."""
    index = {"T": slice(None), "M": slice(None), "B": 0, "H": 0}
    return tuple(index[dim] for dim in dims.split() if dim in index)


def differing(op, got, want):
    """Returns which results differ beyond row 0 and head 0; weights are everybody's."""
    dims = {f"d{name}": dims for name, dims in op.layout.items()} | op.layout
    dims["y"] = "T B H" if "H" in op.layout[op.states[0]] else "T B"
    names = []
    for name in (n for n in op.results if dims[n].startswith(("T", "B"))):
        own = of_first_row_and_head(dims[name])
        other = got[name].clone()
        other[own] = want[name][own]
        names += [] if torch.equal(other, want[name]) else [name]
    return names


# A thread computes several pairs of row and head in the same memory, padded to 16 floats a row.
@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("start", [None, 2])
@pytest.mark.parametrize("bad", [torch.nan, torch.inf])
@pytest.mark.parametrize(("K", "V"), [(24, 24), (13, 13), (32, 32), (11, 40)])
@named([(op, backend) for op, backend in COMPILED if backend.name == "cpu"])
def test_a_bad_number_leaves_neither_its_row_nor_its_head(
    op, backend, K, V, bad, start, num_threads
):
    if K != V and not any("V" in dims for dims in op.layout.values()):
        pytest.skip("has one head size")
    torch.set_num_threads(num_threads)
    clean = make_inputs(op, sizes(3, 2, 2, K, V), torch.float32, start_rate=0)
    if start:
        clean["start"][start, 0] = True
    want = outputs_and_gradients(op, run(op, backend), clean)
    for name in (n for n in op.floats if op.layout[n].startswith(("T", "B"))):
        spoilt = clean[name].detach().clone()
        spoilt[of_first_row_and_head(op.layout[name])][:1] = bad
        got = outputs_and_gradients(op, run(op, backend), clean | {name: spoilt.requires_grad_()})
        assert differing(op, got, want) == [], name


@every_backend
def test_no_gradient_after_a_start_sees_the_nan_before_it(op, backend):
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend), start_rate=0)
    tensors["start"][0] = True
    for name in op.states:
        tensors[name].data.fill_(float("nan"))
    results = outputs_and_gradients(op, run(op, backend), tensors)
    assert all(x.isfinite().all() for x in results.values())
    assert not any(results[f"d{name}"].any() for name in op.states)


@pytest.mark.parametrize("empty", ["T", "B"])
@every_backend
def test_a_call_without_steps_or_rows_has_an_empty_output_and_the_state_it_came_with(
    op, backend, empty
):
    tensors = make_inputs(op, SMALL | {empty: 0}, torch.float32, device_of(backend))
    y, *states = run(op, backend)(*tensors.values())
    size = 8 if op.has_heads else SMALL["N"]
    assert y.numel() == 0
    assert y.shape[:2] == tensors["start"].shape
    assert y.shape[-1] == size
    assert y.dtype == torch.float32
    for name, state in zip(op.states, states, strict=True):
        assert torch.equal(state, tensors[name])


class RecordedCalls(TorchDispatchMode):
    """Keeps every call of one of our operators, below autograd."""

    def __init__(self):
        super().__init__()
        self.calls = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func.namespace.startswith("fast_weights"):
            self.calls.append((func, args, kwargs or {}))
        return func(*args, **(kwargs or {}))


@every_compiled_backend
def test_torch_library_finds_nothing_wrong_with_the_registered_operators(op, backend):
    shape = sizes(2, 1, 1, 8) if is_interpreted(backend) else SMALL
    tensors = make_inputs(op, shape, torch.float32, device_of(backend))
    with RecordedCalls() as recorded:
        outputs_and_gradients(op, run(op, backend), tensors)
    assert len(recorded.calls) == 2, "one forward and one backward operator"
    (forward, args, kwargs), (backward, *backward_args) = recorded.calls
    leaves = [
        x.detach().clone().requires_grad_(x.is_floating_point())
        if isinstance(x, torch.Tensor)
        else x
        for x in args
    ]
    torch.library.opcheck(forward, tuple(leaves), kwargs)
    torch.library.opcheck(backward, *backward_args, test_utils=("test_schema", "test_faketensor"))


@pytest.mark.parametrize("autocast", [False, True])
@every_compiled_backend
def test_torch_compile_takes_the_operator_whole(op, backend, autocast):
    if is_interpreted(backend):
        pytest.skip("the interpreter cannot be traced")
    tensors = make_inputs(op, SMALL, torch.float32, device_of(backend))
    run(op, backend)(*tensors.values())  # builds and loads what is loaded on first use
    torch._dynamo.reset()  # it counts how often it compiled what all operators share
    compiled = torch.compile(run(op, backend), fullgraph=True, backend="aot_eager")
    with torch.autocast(device_of(backend), torch.bfloat16, enabled=autocast):
        got = outputs_and_gradients(op, compiled, tensors)
    want = outputs_and_gradients(op, run(op, backend), tensors)
    assert all(torch.equal(got[name], want[name]) for name in op.results)
