"""The kernel operators as a table, and inputs, gradients and errors for any of them.

Everything follows from an operator's LAYOUT: what its arguments are called and how they are
shaped. Only the activations that a caller applies first are written down per operator.
"""

import importlib
import importlib.util
import os
from dataclasses import dataclass, field

import pytest
import torch
from torch.nn.functional import normalize

from models.kernels import dispatch, inputs


def softmax(x):
    return x.softmax(-1)


def unit(x):
    return normalize(x, dim=-1)


def shrunk(x):
    return x / x.shape[-1] ** 0.5


@dataclass(frozen=True)
class Operator:
    name: str
    activations: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)

    @property
    def title(self):
        """The name, and the options where they are not the default."""
        return "-".join([self.name, *map(str, self.options.values())])

    @property
    def module(self):
        return importlib.import_module(f"models.kernels.{self.name}")

    @property
    def layout(self):
        return self.module.LAYOUT

    @property
    def states(self):
        return [name for name, dims in self.layout.items() if dims.startswith("B")]

    @property
    def floats(self):
        return [name for name in self.layout if name != "start"]

    @property
    def has_heads(self):
        return any("H" in dims.split() for dims in self.layout.values())

    @property
    def results(self):
        """Names of what `outputs_and_gradients` returns."""
        return ["y", *self.states, *(f"d{name}" for name in self.floats)]

    def __call__(self, *tensors, **options):
        return getattr(self.module, self.name)(*tensors, **self.options, **options)

    def reference(self, *tensors, **options):
        return self(*tensors, backend="reference", **options)


def faint(x):
    return shrunk(x) / 4


def recurrent(activation):
    return dict.fromkeys(["r_q", "r_k", "r_v", "r_b"], activation)


OPERATORS = [
    Operator("linear_attention", {"q": softmax, "k": softmax}),
    Operator("delta_rule", {"q": unit, "k": unit, "beta": torch.sigmoid}),
    Operator(
        "gated_delta_rule", {"q": unit, "k": unit, "beta": torch.sigmoid, "alpha": torch.sigmoid}
    ),
    Operator("delta_product", {"q": unit, "k": unit, "beta": torch.sigmoid}),
    Operator(
        "delta_rnn",
        dict.fromkeys(["q", "k", "rk"], softmax) | dict.fromkeys(["beta", "rbeta"], torch.sigmoid),
    ),
    Operator("rdn", recurrent(shrunk)),
    Operator("rdn", recurrent(shrunk), {"key_norm": "sum"}),
    # Nothing fades at unit keys and strengths up to 2: with larger weights it is chaotic, and the
    # rounding of float32 grows a hundredfold in 50 steps.
    Operator("rdn", recurrent(faint), {"key_norm": "l2", "beta_range": 2}),
    # Smaller weights make query and key nearly equal, and a write the rounding of their difference.
    Operator("srwm", {"x": softmax}),
    Operator("lstm", {"w_hh": shrunk}),
    Operator("gru", {"w_hh": shrunk}),
]


def sizes(T, B, H, K, V=None):
    """Returns sizes for any operator; one without separate values has D = N = K."""
    return {"T": T, "M": 3, "B": B, "H": H, "K": K, "V": V or K, "D": K, "N": K}


def make_inputs(op, sizes, dtype=torch.float64, device="cpu", seed=0, start_rate=0.2):
    """Returns a warm state, sequences in `dtype` and episodes that start in mid-sequence.

    The dictionary has one leaf per argument; states and weights are float32, or float64 with
    float64 sequences.
    """
    rng = torch.Generator().manual_seed(seed)
    state_dtype = torch.promote_types(dtype, torch.float32)
    tensors = {}
    for name in op.floats:
        shape = [inputs.size_of(dim, sizes) for dim in op.layout[name].split()]
        x = torch.randn(shape, generator=rng, dtype=torch.float64)
        x = op.activations.get(name, lambda x: x)(x)
        wanted = dtype if op.layout[name].startswith("T") else state_dtype
        tensors[name] = x.to(device, wanted).requires_grad_()
    random = torch.rand(sizes["T"], sizes["B"], generator=rng)
    tensors["start"] = (random < start_rate).to(device)
    return tensors


def widened(tensors):
    """Returns the very same values as float64 leaves."""
    return {
        name: x.clone() if name == "start" else x.detach().double().requires_grad_()
        for name, x in tensors.items()
    }


def cotangents(outputs):
    """Returns a fixed random gradient for each output, with values that bfloat16 holds."""
    rng = torch.Generator().manual_seed(1)
    return [torch.randn(x.shape, generator=rng).bfloat16().to(x) for x in outputs]


def outputs_and_gradients(op, call, tensors, **options):
    """Returns the results of a call by name: y, the last states, and every gradient."""
    outputs = call(*tensors.values(), **options)
    leaves = [tensors[name] for name in op.floats]
    # Zeros and not None where nothing flows, as from the initial state under bptt=1.
    gradients = torch.autograd.grad(
        outputs, leaves, cotangents(outputs), allow_unused=True, materialize_grads=True
    )
    return dict(zip(op.results, (*outputs, *gradients), strict=True))


def relative_rms(actual, expected):
    return ((actual.double() - expected.double()).norm() / (expected.norm() + 1e-30)).item()


def errors(actual, expected):
    return {
        name: relative_rms(actual[name], expected[name].to(actual[name].device)) for name in actual
    }


def device_of(backend):
    """Returns the device a backend's test runs on, or ends the test where there is none."""
    if backend.device != "cuda":
        return "cpu"
    if backend.name == "triton" and importlib.util.find_spec("triton") is None:
        pytest.skip("triton is not installable here")
    if torch.cuda.is_available():
        return "cuda"
    assert not os.environ.get("REQUIRE_CUDA"), "REQUIRE_CUDA is set, but torch sees no CUDA device"
    if backend.name != "triton":
        pytest.skip("no CUDA device")
    assert dispatch.TRITON_IS_INTERPRETED, "tests/conftest.py sets TRITON_INTERPRET"
    return "cpu"


def is_interpreted(backend):
    """Returns whether this backend runs in Triton's interpreter, a thousand times slower."""
    return backend.name == "triton" and not torch.cuda.is_available()
