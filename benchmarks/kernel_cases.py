"""The recurrences to time: inputs of each operator, and every implementation that takes them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from types import ModuleType

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.kernels import inputs, operators

Call = Callable[..., tuple[Tensor, ...]]

OPERATORS = operators()
OPS = tuple(OPERATORS)
WRITES = 2  # a step of the delta product
LSTM_INPUT_SIZE = 257
START_RATE = 0.02
# What a core applies to an argument before the operator sees it.
SOFTMAX = {"q", "k", "rk", "x"}
SIGMOID = {"beta", "rbeta", "alpha"}
WEIGHTS = {"r_q", "r_k", "r_v", "r_b", "w", "w_hh"}


@dataclass(frozen=True, slots=True)
class Shape:
    """Steps, batch, heads and head size; without heads one, as large as the hidden vector."""

    T: int
    B: int
    H: int
    D: int


@dataclass(frozen=True)
class Case:
    """One operator with its inputs.

    Args:
        op: name of the operator.
        shape: of the inputs.
        floats: leaves of the gradient, by name.
        start: [T, B] bool.
        reference: what every candidate must equal, in any float dtype.
        candidates: implementations by name; each takes the floats and `start`.
        without_resets: names of candidates that take no heed of `start`.
    """

    op: str
    shape: Shape
    floats: dict[str, Tensor]
    start: Tensor
    reference: Call
    candidates: dict[str, Call]
    without_resets: frozenset[str] = field(default=frozenset())


def has_heads(op: str) -> bool:
    """Returns whether an operator computes head by head."""
    return any("H" in dims.split() for dims in OPERATORS[op].LAYOUT.values())


def make_case(op: str, shape: Shape, device: torch.device, *, compiled: bool = False) -> Case:
    """Returns random inputs and the backends of this device.

    Args:
        op: one of OPS.
        shape: of the inputs.
        device: where they lie.
        compiled: also time the reference under `torch.compile`.
    """
    module = OPERATORS[op]
    rng = torch.Generator().manual_seed(0)
    start = torch.rand(shape.T, shape.B, generator=rng) < START_RATE
    operator = getattr(module, op)
    reference: Call = partial(operator, backend="reference")
    calls: dict[str, Call] = {"reference": reference}
    for backend in module.BACKENDS:
        if backend.device == device.type:
            calls[backend.name] = partial(operator, backend=backend.name)
    if op == "lstm":
        case = _lstm_case(shape, calls, rng, start.to(device))
    else:
        floats = _floats(module, shape, rng, device)
        case = Case(op, shape, floats, start.to(device), reference, calls)
    if compiled:
        case.candidates["compiled"] = torch.compile(case.reference, dynamic=False)
    return case


def _floats(
    module: ModuleType, shape: Shape, rng: torch.Generator, device: torch.device
) -> dict[str, Tensor]:
    """Returns the arguments of an operator, through its caller's activations."""
    sizes = {"T": shape.T, "M": WRITES, "B": shape.B, "H": shape.H}
    sizes |= dict.fromkeys("KVDN", shape.D)
    floats = {}
    for name, dims in module.LAYOUT.items():
        if name == "start":
            continue
        x = torch.randn([inputs.size_of(d, sizes) for d in dims.split()], generator=rng)
        if name in SOFTMAX and "r_q" not in module.LAYOUT:  # the RDN takes its own softmax
            x = x.softmax(-1)
        elif name in SIGMOID:
            x = x.sigmoid()
        elif name in WEIGHTS:
            x = x / shape.D**0.5
        floats[name] = x.to(device).requires_grad_()
    return floats


def _lstm_case(
    shape: Shape, operators: dict[str, Call], rng: torch.Generator, start: Tensor
) -> Case:
    """Returns a whole layer for each backend: `nn.LSTM` cannot leave out its input projection."""
    module = nn.LSTM(LSTM_INPUT_SIZE, shape.D)
    for parameter in module.parameters():
        nn.init.uniform_(parameter, -(shape.D**-0.5), shape.D**-0.5, generator=rng)
    module.to(start.device)
    x = torch.randn(shape.T, shape.B, LSTM_INPUT_SIZE, generator=rng)
    h, c = (torch.randn(shape.B, shape.D, generator=rng) for _ in range(2))
    states = {name: t.to(start.device).requires_grad_() for name, t in (("h", h), ("c", c))}
    calls: dict[str, Call] = {name: partial(_layer, call) for name, call in operators.items()}
    calls |= {"nn.LSTM": partial(_unroll, module), "nn.LSTM stepped": partial(_step, module)}
    return Case(
        op="lstm",
        shape=shape,
        floats={"x": x.to(start.device).requires_grad_()}
        | dict(module.named_parameters())
        | states,
        start=start,
        reference=partial(_layer, operators["reference"]),
        candidates=calls,
        without_resets=frozenset({"nn.LSTM"}),
    )


def _layer(
    operator: Call,
    x: Tensor,
    w_ih: Tensor,
    w_hh: Tensor,
    b_ih: Tensor,
    b_hh: Tensor,
    h: Tensor,
    c: Tensor,
    start: Tensor,
) -> tuple[Tensor, ...]:
    gates = functional.linear(x.flatten(0, 1), w_ih, b_ih + b_hh).view(*x.shape[:2], -1)
    return operator(gates, w_hh, h, c, start)


def _unroll(module: nn.LSTM, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    """Runs `nn.LSTM` over all steps; its weights are the case's own."""
    h, c, _ = rest[-3:]
    y, (h, c) = module(x, (h[None], c[None]))
    return y, h[0], c[0]


def _step(module: nn.LSTM, x: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
    """Runs `nn.LSTM` a step at a time with the state reset between: what torch offers."""
    h, c, start = rest[-3:]
    h, c = h[None], c[None]
    outputs: list[Tensor] = []
    for x_B, start_B in zip(x, start, strict=True):
        h, c = (state.masked_fill(start_B[None, :, None], 0.0) for state in (h, c))
        y, (h, c) = module(x_B[None], (h, c))
        outputs.append(y)
    return torch.cat(outputs), h[0], c[0]
