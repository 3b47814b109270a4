"""What the operators refuse, what they say about it, and how a backend is chosen."""

import importlib.util
import logging
from typing import get_args

import pytest
import torch

from models.cores.config import KernelName
from models.kernels import dispatch, inputs, triton_launch
from models.kernels.delta_product import delta_product
from models.kernels.dispatch import Backend
from tests.kernel_cases import OPERATORS, make_inputs, sizes
from tests.test_kernels_backends import COMPILED, every_compiled_backend, named

SIZES = sizes(3, 2, 2, 8)

every_operator = pytest.mark.parametrize("op", OPERATORS, ids=lambda op: op.title)


def inputs_of(op, **changes):
    return make_inputs(op, SIZES, torch.float32) | changes


@every_operator
def test_every_argument_of_a_wrong_shape_is_named_with_what_was_expected(op):
    tensors = make_inputs(op, SIZES, torch.float32)
    for name, x in tensors.items():
        for wrong in (x[..., :1], x[0]):
            with pytest.raises(ValueError, match=rf"^{op.name}: \w+ must be \[.*=.*\], got \["):
                op(*(tensors | {name: wrong}).values())
    with pytest.raises(ValueError, match=rf"{op.name}: start must be \[T=3, B=2\], got \[3, 1\]"):
        op(*(tensors | {"start": tensors["start"][:, :1]}).values())


@every_operator
def test_a_start_that_is_not_bool_is_refused(op):
    with pytest.raises(ValueError, match=r"start must be bool, got torch.float32"):
        op(*inputs_of(op, start=torch.zeros(3, 2)).values())


@every_operator
def test_dtypes_that_would_lose_or_mix_precision_are_refused(op):
    tensors = inputs_of(op)
    state, first = op.states[-1], op.floats[0]
    wide = {n: tensors[n].double() for n in op.floats if op.layout[n].startswith("T")}
    with pytest.raises(ValueError, match=f"{op.name}: .* got torch.bfloat16"):
        op(*(tensors | {n: tensors[n].bfloat16() for n in op.states}).values())
    with pytest.raises(ValueError, match=f"{op.name}: .* got torch.float16"):
        op(*(tensors | {first: tensors[first].half()}).values())
    with pytest.raises(ValueError, match=r"at least as wide as .* torch.float64"):
        op(*(tensors | wide).values())
    if len(op.states) > 1:
        with pytest.raises(ValueError, match=f"{state} must be torch.float32 as .* is"):
            op(*(tensors | {state: tensors[state].double()}).values())


@every_operator
def test_a_tensor_on_another_device_is_named(op):
    with pytest.raises(ValueError, match=rf"{op.name}: start is on meta, {op.floats[0]} on cpu"):
        op(*inputs_of(op, start=torch.zeros(3, 2, dtype=torch.bool, device="meta")).values())


@every_operator
@pytest.mark.parametrize("bptt", [0, 2, "1", True, None])
def test_an_unknown_bptt_is_refused(op, bptt):
    with pytest.raises(ValueError, match=f"bptt must be 'full' or 1, got {bptt!r}"):
        op(*inputs_of(op).values(), bptt=bptt)


@every_compiled_backend
def test_a_named_backend_never_falls_back(op, backend):
    tensors = make_inputs(op, SIZES, torch.float64)
    with pytest.raises(ValueError, match=rf"{op.name}: cannot run \({backend.name}: .+\)"):
        op(*tensors.values(), backend=backend.name)
    want = op.reference(*tensors.values())
    got = op(*tensors.values())
    assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


@named([(op, b) for op, b in COMPILED if op.has_heads or b.name != "triton"])  # takes all
def test_a_size_beyond_the_limits_is_refused_by_name(op, backend):
    for size in [4, 136] if op.has_heads else [520]:
        tensors = make_inputs(op, sizes(1, 1, 1, size), torch.float32)
        with pytest.raises(ValueError, match=f"{backend.name}: .*{size}"):
            op(*tensors.values(), backend=backend.name)
        op(*tensors.values())  # auto uses the reference


@every_operator
def test_an_unknown_backend_is_refused_with_the_names_there_are(op):
    with pytest.raises(
        ValueError, match=r"unknown backend 'cuda'; choose auto or one of .*reference"
    ):
        op(*inputs_of(op).values(), backend="cuda")


@pytest.mark.parametrize("option", [{"key_norm": "l1"}, {"beta_range": 3}], ids=str)
def test_an_unknown_option_of_the_rdn_is_refused_with_what_there_is(option):
    (op, *_) = (op for op in OPERATORS if op.name == "rdn")
    expected = "one of sum, softmax, l2, got 'l1'" if "key_norm" in option else "1 or 2, got 3"
    with pytest.raises(ValueError, match=f"rdn: {next(iter(option))} must be {expected}"):
        op(*inputs_of(op).values(), **option)


def test_every_backend_is_a_choice_of_the_setting():
    names = {backend.name for op in OPERATORS for backend in op.module.BACKENDS}
    assert set(get_args(KernelName)) == {"auto", *names}


@every_operator
def test_the_reference_is_the_last_resort_and_takes_every_device(op):
    last = op.module.BACKENDS[-1]
    assert (last.name, last.device) == ("reference", None)


def backends(**reasons):
    return [
        Backend(name, None, run=lambda *_: None, rejects=lambda *_, r=r: r)
        for name, r in reasons.items()
    ]


def test_auto_takes_the_first_that_accepts_and_says_once_why_not_the_others(caplog, monkeypatch):
    monkeypatch.setattr(dispatch, "_logged", set())
    choices = backends(fast="no compiler", middle=None, slow=None)
    with caplog.at_level(logging.INFO, logger=dispatch.__name__):
        for _ in range(3):
            assert dispatch.choose("op", choices, "auto", torch.zeros(1)).name == "middle"
    assert caplog.messages == ["op runs on middle; not fast: no compiler"]


def test_auto_never_picks_the_interpreter(monkeypatch):
    monkeypatch.setattr(dispatch, "TRITON_IS_INTERPRETED", True)
    gpu = Backend("triton", "cuda", run=lambda *_: None)
    slow = Backend("reference", None, run=lambda *_: None)
    assert dispatch.choose("op", [gpu, slow], "auto", torch.zeros(1)) is slow
    assert dispatch.choose("op", [gpu, slow], "triton", torch.zeros(1)) is gpu
    with pytest.raises(ValueError, match="other: needs cuda tensors"):
        dispatch.choose("op", [Backend("other", "cuda", gpu.run)], "other", torch.zeros(1))
    monkeypatch.setattr(dispatch, "TRITON_IS_INTERPRETED", False)
    with pytest.raises(ValueError, match="triton: needs cuda tensors"):
        dispatch.choose("op", [gpu, slow], "triton", torch.zeros(1))


def test_a_call_does_not_look_for_triton(monkeypatch):
    def find_spec(name):
        raise AssertionError("torch.compile cannot trace this")

    monkeypatch.setattr(importlib.util, "find_spec", find_spec)
    triton_launch.unavailable()


def test_triton_refuses_a_gpu_that_is_not_of_nvidia(monkeypatch):
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert "NVIDIA" in triton_launch.unavailable()


def test_the_error_lists_every_reason():
    with pytest.raises(ValueError, match=r"op: cannot run \(a: too big; b: too small\)"):
        dispatch.choose("op", backends(a="too big", b="too small"), "auto", torch.zeros(1))


@pytest.mark.parametrize("empty", ["T", "B"])
def test_an_empty_call_is_answered_by_the_reference(empty):
    start = torch.zeros(*(0 if dim == empty else 2 for dim in "TB"), dtype=torch.bool)
    choices = [
        Backend("cpu", None, run=lambda *_, bptt: "computed"),
        Backend("reference", None, run=lambda *_, bptt: "empty"),
    ]
    assert dispatch.run("op", choices, "cpu", (start,), "full") == "empty"


def test_only_a_last_dimension_with_a_stride_costs_a_copy():
    layout = {"x": "T B H K", "scale": "T B H", "state": "B H K", "start": "T B"}
    slow = torch.zeros(2, 3, 4, 11)
    x, scale = slow[..., :10], slow[..., 10]
    strided = torch.zeros(2, 3, 4, 20)[..., ::2]
    state = torch.zeros(1, 4, 10).expand(3, 4, 10)
    start = torch.zeros(3, 2, dtype=torch.bool).T
    ready = inputs.prepare("op", layout, (x, scale, state, start), "full")
    assert [a is b for a, b in zip(ready, (x, scale, state, start), strict=True)] == [
        True,
        True,
        False,
        True,
    ]
    assert ready[2].is_contiguous()
    copied, *_ = inputs.prepare("op", layout, (strided, scale, state, start), "full")
    assert copied.is_contiguous()


def test_a_delta_product_without_a_write_is_refused():
    q, state, start = torch.ones(2, 1, 1, 8), torch.ones(1, 1, 8, 8), torch.zeros(2, 1).bool()
    none = torch.ones(2, 0, 1, 1, 8)
    with pytest.raises(ValueError, match="must make at least one write, got M = 0"):
        delta_product(q, none, none, none[..., 0], state, start)
