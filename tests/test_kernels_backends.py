"""Every backend of every operator against the reference in float64 on the same inputs.

The backends are read from each operator's BACKENDS. Triton's run on a GPU where there is one,
and otherwise in its interpreter, where the larger shapes are slow tests.
"""

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.kernel_cases import (
    OPERATORS,
    cotangents,
    device_of,
    errors,
    is_interpreted,
    make_inputs,
    outputs_and_gradients,
    sizes,
    widened,
)

pytestmark = pytest.mark.usefixtures("one_thread")

# Relative RMS error allowed, by the dtype of the result. With bfloat16 sequences only the
# results that are bfloat16 themselves may be less exact than with float32 ones. Worst seen on
# MATCHED: cpu 8.5e-7 float32, 2.5e-3 bfloat16 (AVX-512, 2026-11-24).
BOUND = {torch.float32: 3e-6, torch.bfloat16: 2**-8, torch.float64: 1e-13}
INTERPRETED_BOUND = BOUND | {torch.bfloat16: 2**-7}  # it truncates where a GPU rounds

PAIRS = [(op, backend) for op in OPERATORS for backend in op.module.BACKENDS]
COMPILED = [(op, backend) for op, backend in PAIRS if backend.name != "reference"]
# T, B, H, K, V. A checkpoint is kept every 16 steps.
SHAPES = [
    (1, 1, 1, 8, 8),
    (15, 2, 3, 16, 16),
    (16, 1, 2, 24, 24),
    (17, 3, 1, 32, 32),
    (33, 1, 3, 48, 48),
    (50, 1, 3, 32, 32),
    (17, 1, 1, 64, 64),
    (2, 3, 3, 64, 64),
    (3, 3, 2, 20, 20),
    (18, 1, 1, 128, 128),
    (1, 3, 3, 128, 128),
    (17, 3, 1, 13, 13),
    (17, 2, 1, 8, 64),
    (5, 1, 2, 48, 16),
    (3, 1, 1, 128, 11),
]
GATED_SHAPES = [(1, 32, 1, 256), (17, 3, 1, 200), (5, 7, 1, 512)]
# In the default suite: T B H, of a few milliseconds each, and steps of an operator with options.
MAX_INTERPRETED_WORK, MAX_INTERPRETED_STEPS = 18, 3


def named(pairs, *, are_quick=False):
    """Returns the pairs as parameters; in the interpreter, options are slow unless it is said.

    Of an operator's options one set is enough here, on what is compiled; MATCHED has them all.
    """
    kept = [p for p in pairs if not p[0].options or (has_l2(p[0]) and p[1].name != "reference")]
    slow = [] if are_quick else [p for p in kept if p[0].options and is_interpreted(p[1])]
    params = [
        pytest.param(
            *(op, backend),
            id=f"{op.title}-{backend.name}",
            marks=[pytest.mark.slow] if (op, backend) in slow else [],
        )
        for op, backend in kept
    ]
    return pytest.mark.parametrize(("op", "backend"), params)


def has_l2(op):
    return op.options.get("key_norm") == "l2"


every_backend = named(PAIRS)
every_compiled_backend = named(COMPILED)


def shapes(op, backend):
    if backend.name == "reference":  # against itself in float64: a few will do
        return SHAPES[:3]
    has_values = any("V" in dims for dims in op.layout.values())
    suitable = [shape for shape in SHAPES if has_values or shape[3] == shape[4]]
    if op.options and is_interpreted(backend):  # the default options run the long ones
        suitable = [(T, B, H, *D) for T, B, H, *D in suitable if T * B * H <= MAX_INTERPRETED_WORK]
    if op.has_heads:
        return suitable
    return suitable + GATED_SHAPES


def matched(op, backend, shape):
    """Returns a case; what takes the interpreter long runs with the slow tests."""
    T, B, H, K, _ = shape = (*shape, shape[3])[:5]
    is_long = T * B * H > MAX_INTERPRETED_WORK or K > 128
    is_long = is_long or (op.options and T > MAX_INTERPRETED_STEPS)
    marks = [pytest.mark.slow] if is_interpreted(backend) and is_long else []
    name = f"{op.title}-{backend.name}-{'x'.join(map(str, shape))}"
    return pytest.param(op, backend, shape, id=name, marks=marks)


MATCHED = [matched(op, backend, shape) for op, backend in PAIRS for shape in shapes(op, backend)]


def run(op, backend):
    """Returns the public operator on this backend, in a form that torch.compile can trace."""
    public = functools.partial(getattr(op.module, op.name), backend=backend.name, **op.options)

    def call(*tensors, **options):
        return public(*tensors, **options)

    return call


def assert_matches_float64(op, backend, tensors, **options):
    got = outputs_and_gradients(op, run(op, backend), tensors, **options)
    want = outputs_and_gradients(op, op.reference, widened(tensors), **options)
    bound = INTERPRETED_BOUND if is_interpreted(backend) else BOUND
    wrong = {
        name: error
        for name, error in errors(got, want).items()
        if not error <= bound[got[name].dtype]  # false for NaN too
    }
    assert not wrong


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize(("op", "backend", "shape"), MATCHED)
def test_results_match_the_reference_in_float64(op, backend, shape, dtype):
    tensors = make_inputs(op, sizes(*shape), dtype, device_of(backend))
    assert_matches_float64(op, backend, tensors)


def num_steps(backend):
    """Returns steps across a checkpoint, or a few where each takes the interpreter long."""
    return 5 if is_interpreted(backend) else 19


STARTS = {
    "never": lambda T: [],
    "first": lambda T: [0],
    "middle": lambda T: [T // 2],
    "checkpoint": lambda T: [16 if T > 16 else T - 2],
    "last": lambda T: [T - 1],
    "everywhere": lambda T: list(range(T)),
}


@pytest.mark.parametrize("bptt", ["full", 1])
@pytest.mark.parametrize("where", STARTS)
@every_backend
def test_starts_and_truncation_match_the_reference(op, backend, where, bptt):
    T, device = num_steps(backend), device_of(backend)
    tensors = make_inputs(op, sizes(T, 2, 1, 8), torch.float32, device, start_rate=0)
    tensors["start"][STARTS[where](T), 0] = True
    assert_matches_float64(op, backend, tensors, bptt=bptt)


@pytest.mark.parametrize(("T", "bptt"), [(32, 1), (50, "full")])
@every_compiled_backend
def test_unrolls_over_several_checkpoints_match_the_reference(op, backend, T, bptt):
    tensors = make_inputs(op, sizes(T, 1, 1, 8), torch.float32, device_of(backend), start_rate=0.05)
    tensors["start"][[0, 15, 17, T - 2], 0] = True
    assert_matches_float64(op, backend, tensors, bptt=bptt)


@named([(op, backend) for op, backend in COMPILED if backend.name == "cpu"])
@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(data=st.data())
def test_random_calls_match_the_reference(op, backend, data):
    def draw(low, high):
        return data.draw(st.integers(low, high))

    shape = draw(1, 40), draw(1, 4), draw(1, 3), draw(8, 40), draw(8, 40)
    tensors = make_inputs(
        op,
        sizes(*shape),
        data.draw(st.sampled_from([torch.float32, torch.bfloat16])),
        seed=draw(0, 99),
        start_rate=data.draw(st.sampled_from([0.0, 0.1, 0.5])),
    )
    assert_matches_float64(op, backend, tensors, bptt=data.draw(st.sampled_from(["full", 1])))


@pytest.mark.parametrize("cut", [1, 9, -3, -1])
@every_backend
def test_a_sequence_may_be_cut_anywhere(op, backend, cut):
    tensors = make_inputs(op, sizes(num_steps(backend), 2, 1, 8), torch.float32, device_of(backend))

    def in_two(*arguments, **options):
        arguments = dict(zip(op.layout, arguments, strict=True))
        ys, states = [], [arguments[name] for name in op.states]
        for part in (slice(None, cut), slice(cut, None)):
            piece = {
                n: x[part] if op.layout[n].startswith("T") else x for n, x in arguments.items()
            }
            piece |= dict(zip(op.states, states, strict=True))
            y, *states = run(op, backend)(*piece.values(), **options)
            ys.append(y)
        return torch.cat(ys), *states

    whole = outputs_and_gradients(op, run(op, backend), tensors)
    cut_up = outputs_and_gradients(op, in_two, tensors)
    assert all(error < BOUND[torch.float32] for error in errors(cut_up, whole).values())
    # Of fewer than 4 steps a gated layer in C++ leaves the products to BLAS, with its own order.
    if op.has_heads or backend.name != "cpu" or cut == 9:
        assert all(torch.equal(cut_up[name], whole[name]) for name in ["y", *op.states])


@every_backend
def test_the_same_call_gives_the_same_bits_and_changes_nothing(op, backend):
    tensors = make_inputs(
        op, sizes(num_steps(backend), 3, 1, 16), torch.float32, device_of(backend)
    )
    before = {name: x.detach().clone() for name, x in tensors.items()}
    first = outputs_and_gradients(op, run(op, backend), tensors)
    second = outputs_and_gradients(op, run(op, backend), tensors)
    assert all(torch.equal(first[name], second[name]) for name in op.results)
    assert all(torch.equal(tensors[name], before[name]) for name in tensors)


@named([(op, backend) for op, backend in COMPILED if backend.name == "cpu"])
def test_the_number_of_threads_changes_no_bit(op, backend):
    tensors = make_inputs(op, sizes(33, 16, 4, 32), torch.float32)
    results = []
    for num_threads in (1, 2, 3):
        torch.set_num_threads(num_threads)
        results.append(outputs_and_gradients(op, run(op, backend), tensors))
    for other in results[1:]:
        assert [n for n in op.results if not torch.equal(results[0][n], other[n])] == []


@every_backend
def test_a_second_backward_through_the_graph_gives_the_same_gradients(op, backend):
    tensors = make_inputs(op, sizes(num_steps(backend), 2, 1, 8), torch.float32, device_of(backend))
    outputs = run(op, backend)(*tensors.values())
    leaves = [tensors[name] for name in op.floats]
    first, second = (
        torch.autograd.grad(outputs, leaves, cotangents(outputs), retain_graph=True)
        for _ in range(2)
    )
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))


@every_backend
def test_a_call_without_gradients_gives_the_same_bits(op, backend):
    tensors = make_inputs(op, sizes(num_steps(backend), 2, 1, 8), torch.float32, device_of(backend))
    with_graph = run(op, backend)(*tensors.values())
    with torch.no_grad():
        without = run(op, backend)(*tensors.values())
    assert all(torch.equal(a, b) for a, b in zip(with_graph, without, strict=True))


@every_backend
def test_only_the_gradients_asked_for_are_needed(op, backend):
    tensors = make_inputs(op, sizes(3, 2, 1, 8), torch.float32, device_of(backend))
    want = outputs_and_gradients(op, run(op, backend), tensors)
    for name in op.floats:
        alone = {n: x.detach() for n, x in tensors.items()}
        alone[name].requires_grad_()
        outputs = run(op, backend)(*alone.values())
        reached = [
            pair for pair in zip(outputs, cotangents(outputs), strict=True) if pair[0].requires_grad
        ]
        reached, gradients = zip(*reached, strict=True)
        (got,) = torch.autograd.grad(reached, alone[name], gradients)
        assert errors({name: got}, {name: want[f"d{name}"]})[name] < BOUND[torch.float32], name


@pytest.mark.parametrize("of", ["gated_delta_rule", "delta_product"])
@named([(op, backend) for op, backend in PAIRS if op.name == "delta_rule"])
def test_without_decay_and_with_one_write_a_step_it_is_the_delta_rule_to_the_bit(op, backend, of):
    tensors = make_inputs(
        op, sizes(num_steps(backend), 2, 2, 24), torch.float32, device_of(backend)
    )
    (special,) = (other for other in OPERATORS if other.name == of)

    def call(q, k, v, beta, state, start):
        if of == "gated_delta_rule":
            return run(special, backend)(q, k, v, beta, torch.ones_like(beta), state, start)
        k, v, beta = (x.unsqueeze(1) for x in (k, v, beta))
        return run(special, backend)(q, k, v, beta, state, start)

    got = outputs_and_gradients(op, call, tensors)
    want = outputs_and_gradients(op, run(op, backend), tensors)
    if backend.name == "triton" and not is_interpreted(backend):  # compiled twice, rounded twice
        assert all(error < BOUND[torch.float32] for error in errors(got, want).values())
    else:
        assert [name for name in op.results if not torch.equal(got[name], want[name])] == []


@pytest.mark.parametrize("factor", [0.0, 1e-13])  # below 1e-12 a length is taken for 1e-12
@named([(op, b) for op, b in COMPILED if has_l2(op)], are_quick=True)
def test_a_vector_too_short_for_a_direction_is_scaled_as_in_the_reference(op, backend, factor):
    tensors = make_inputs(op, sizes(3, 2, 1, 11), torch.float32, device_of(backend), start_rate=0)
    tensors["state_y"].data[0] = 0.0  # so that no recurrent term is added
    for name in ("q", "k"):
        tensors[name].data[0, 0] *= factor
    assert_matches_float64(op, backend, tensors)


@every_backend
def test_each_output_alone_may_enter_the_loss(op, backend):
    tensors = make_inputs(op, sizes(3, 2, 1, 8), torch.float32, device_of(backend), start_rate=0)

    def gradients(call, tensors, index):
        loss = call(*tensors.values())[index].sum()
        leaves = [tensors[name] for name in op.floats]
        found = torch.autograd.grad(loss, leaves, allow_unused=True, materialize_grads=True)
        return dict(zip(op.floats, found, strict=True))

    for index, output in enumerate(["y", *op.states]):
        got = gradients(run(op, backend), tensors, index)
        want = gradients(op.reference, widened(tensors), index)
        assert all(error < BOUND[torch.float32] for error in errors(got, want).values()), output


@every_backend
def test_gradients_may_lie_in_memory_in_any_order(op, backend):
    tensors = make_inputs(op, sizes(3, 2, 2, 8), torch.float32, device_of(backend))
    outputs = run(op, backend)(*tensors.values())
    leaves = [tensors[name] for name in op.floats]
    given = cotangents(outputs)
    want, got = (
        torch.autograd.grad(outputs, leaves, gradients, retain_graph=True)
        for gradients in (given, [x.mT.contiguous().mT for x in given])
    )
    found = errors(*(dict(zip(op.floats, gradients, strict=True)) for gradients in (got, want)))
    assert all(error < BOUND[torch.float32] for error in found.values())


@pytest.mark.parametrize("T", [1, 5])  # of few steps a gated layer leaves the products to BLAS
@every_compiled_backend
def test_autocast_changes_no_bit(op, backend, T):
    device = device_of(backend)
    tensors = make_inputs(op, sizes(T, 2, 1, 8), torch.float32, device)
    want = outputs_and_gradients(op, run(op, backend), tensors)
    with torch.autocast(device, torch.bfloat16):
        got = outputs_and_gradients(op, run(op, backend), tensors)
    assert [name for name in op.results if not torch.equal(got[name], want[name])] == []


@pytest.fixture
def nan_in_new_memory():
    """What a kernel allocates and does not write is NaN, in C++ as in Python."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    yield
    torch.use_deterministic_algorithms(False)


@pytest.mark.usefixtures("nan_in_new_memory")
@every_backend
def test_nothing_is_read_that_was_not_written(op, backend):
    assert torch.empty(2).isnan().all()
    tensors = make_inputs(op, sizes(3, 2, 1, 20), torch.float32, device_of(backend))
    assert_matches_float64(op, backend, tensors)
