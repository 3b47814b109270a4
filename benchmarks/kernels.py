"""Every recurrence in every backend, side by side: first whether it is right, then its time.

On a GPU a call is replayed from a CUDA graph and timed by the device's events: at these sizes a
clock on the host would time Python. What stands for a user's own loop (`AS_LAUNCHED`) is timed by
events as Python launches it.
"""

import copy
import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from benchmarks.kernel_cases import (
    LSTM_INPUT_SIZE,
    OPS,
    START_RATE,
    Call,
    Case,
    Shape,
    has_heads,
    make_case,
)
from benchmarks.timing import (
    Sample,
    device_seconds,
    now,
    replay_of,
    summarise,
    take_turns,
)
from experiment.bounds import refuse_below
from models.cores import CORES, Core, CoreConfig, make_core

Row = dict[str, object]

MAX_ERROR = 1e-5
"""Relative RMS error of a float32 result. The tests are stricter, on shorter unrolls."""

MAIN = Shape(50, 32, 4, 32)
HEAD_SIZES = (Shape(50, 32, 4, 16), Shape(50, 32, 4, 64), Shape(50, 8, 4, 128))
SCALING = (
    *(Shape(T, 32, 4, 32) for T in (20, 100, 200, 400)),
    *(Shape(50, B, 4, 32) for B in (8, 64, 128, 256)),
)
LARGE = Shape(64, 256, 4, 32)
"""What a learner on a GPU asks for; timed there alone."""
QUICK = (Shape(3, 2, 2, 8),)
AS_LAUNCHED = {"reference", "compiled", "nn.LSTM stepped"}
REPLAYED = "reference, replayed"
VECTOR_SIZES = {8: 8, 16: 64, 32: 256, 64: 128, 128: 512}
"""Hidden vectors of operators without heads, where the others have heads of these sizes."""

ACTING_BATCH = 32


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `bench kernels` is asked for.

    Args:
        compiled: also time the reference under `torch.compile`, which takes minutes to start.
        quick: tiny shapes and few repeats, to see that everything runs; writes no file.
        ops: recurrences to time, as the folders of `models/kernels` are called.
        rounds: turns of each backend at the main shape; other shapes have a third.
    """

    compiled: bool = False
    quick: bool = False
    ops: Sequence[str] = OPS
    rounds: int = 15

    def __post_init__(self) -> None:
        unknown = set(self.ops) - set(OPS)
        if unknown or not self.ops:
            given = " ".join(sorted(unknown)) or "none"
            raise ValueError(f"ops must be among {', '.join(OPS)}, got {given}")
        refuse_below(self, 1, "rounds")


def time_kernels(settings: Settings, device: torch.device) -> Iterator[list[Row]]:
    """Yields a row for each backend, operator after operator, the main shape of all first.

    Names each case on stderr.
    """
    large = (LARGE,) if device.type == "cuda" else ()
    shapes = QUICK if settings.quick else (MAIN, *large, *HEAD_SIZES, *SCALING)
    cases = [(op, shape) for shape in shapes for op in settings.ops]
    for number, (op, shape) in enumerate(cases, 1):
        place = f"[{number} of {len(cases)}]"
        print(f"{place} {op} {suited(op, shape)}", file=sys.stderr, flush=True)
        case = make_case(
            op,
            suited(op, shape),
            device,
            compiled=settings.compiled and shape == MAIN,
        )
        if shape in (*SCALING, LARGE):  # slow loops are linear by construction
            for name in set(case.candidates) & {"reference", "nn.LSTM stepped"}:
                del case.candidates[name]
        if shape == MAIN and device.type == "cuda":
            case.candidates[REPLAYED] = case.reference
        share = 1 if shape == MAIN else 3
        yield time_case(case, 2 if settings.quick else -(-settings.rounds // share))
        gc.collect()


def suited(op: str, shape: Shape) -> Shape:
    """Returns the shape of an operator's inputs where those with heads have `shape`."""
    return shape if has_heads(op) else Shape(shape.T, shape.B, 1, VECTOR_SIZES[shape.D])


def time_case(case: Case, rounds: int) -> list[Row]:
    """Checks every candidate, then times those that are right, in turns.

    Returns:
        A row for each candidate. One that is wrong or cannot run has `ok` false and no times.
    """
    verdicts = {name: _check(case, name) for name in case.candidates}
    right = {name: _sampler(case, name) for name in case.candidates if verdicts[name]["ok"]}
    samples = take_turns(right, rounds)
    return [
        _about(case, name) | _times(samples.get(name)) | verdict
        for name, verdict in verdicts.items()
    ]


def _about(case: Case, name: str) -> Row:
    T, B, H, D = case.shape.T, case.shape.B, case.shape.H, case.shape.D
    return {"op": case.op, "backend": name, "T": T, "B": B, "H": H, "K": D, "V": D} | {
        "dtype": "float32",
        "resets": name not in case.without_resets,
        "replayed": case.start.is_cuda and name not in AS_LAUNCHED,
    }


def _times(samples: list[Sample] | None) -> Row:
    """Returns medians and quartiles in milliseconds; None where there is no sample."""
    row: Row = {}
    for part in ("forward", "backward", "total"):
        timing = samples and summarise(
            [sum(s) if part == "total" else s[part == "backward"] for s in samples]
        )
        row[f"{part}_ms"] = timing.median if timing else None
        row[f"{part}_ms_quartiles"] = timing.quartiles if timing else None
    return row


def _check(case: Case, name: str) -> Row:
    """Compares outputs, last states and all gradients with the reference in float64."""
    start = torch.zeros_like(case.start) if name in case.without_resets else case.start
    exact = [x.detach().double().requires_grad_() for x in case.floats.values()]
    wanted = _results(case.reference, exact, start)
    try:
        got = _results(case.candidates[name], list(case.floats.values()), case.start)
    except (RuntimeError, ValueError) as error:
        return {"ok": False, "worst_error": None, "why": " ".join(str(error).split())}
    worst = max(_relative_rms(a, b) for a, b in zip(got, wanted, strict=True))
    ok = worst < MAX_ERROR
    why = None if ok else f"error {worst:.1e} from the float64 reference"
    return {"ok": ok, "worst_error": worst if worst == worst else None, "why": why}


def _results(call: Call, floats: list[Tensor], start: Tensor) -> tuple[Tensor, ...]:
    outputs = call(*floats, start)
    return *(x.detach() for x in outputs), *_backward(outputs, floats)


def _backward(outputs: tuple[Tensor, ...], floats: list[Tensor]) -> tuple[Tensor, ...]:
    return torch.autograd.grad(outputs, floats, [torch.ones_like(x) for x in outputs])


def _relative_rms(actual: Tensor, expected: Tensor) -> float:
    """Returns the error, infinite where it is NaN so that no maximum hides it."""
    difference = (actual.double() - expected).norm() / (expected.norm() + 1e-30)
    return float(difference.nan_to_num(nan=torch.inf))


def _sampler(case: Case, name: str) -> Callable[[], Sample]:
    """Returns what takes a sample of a candidate: seconds forward and backward."""
    floats, call = list(case.floats.values()), case.candidates[name]
    if not case.start.is_cuda:
        return partial(_timed, case, call)

    def forward() -> tuple[Tensor, ...]:
        return call(*floats, case.start)

    def both() -> tuple[Tensor, ...]:
        return _backward(forward(), floats)

    if name in AS_LAUNCHED:
        return partial(_timed_by_device, forward, both)
    return partial(_timed_by_device, *(replay_of(x, case.start.device) for x in (forward, both)))


def _timed(case: Case, call: Call) -> Sample:
    device = case.start.device
    floats = list(case.floats.values())
    begin = now(device)
    outputs = call(*floats, case.start)
    between = now(device)
    _backward(outputs, floats)
    return between - begin, now(device) - between


def _timed_by_device(forward: Callable[[], object], both: Callable[[], object]) -> Sample:
    seconds = device_seconds(forward)
    return seconds, device_seconds(both) - seconds


@torch.no_grad()
def time_acting(settings: Settings, device: torch.device) -> list[Row]:
    """Times one step of 32 environments through each core's whole stack, and one of nn.LSTM."""
    torch.manual_seed(0)
    x = torch.randn(1, ACTING_BATCH, LSTM_INPUT_SIZE, device=device)
    start = torch.rand(1, ACTING_BATCH, device=device) < START_RATE
    module = nn.LSTM(LSTM_INPUT_SIZE, 256).to(device)
    hidden = (torch.randn(1, ACTING_BATCH, 256, device=device),) * 2
    calls: dict[str, Callable[[], object]] = {"nn.LSTM": lambda: module(x, hidden)}
    errors: dict[str, float] = {"nn.LSTM": 0.0}
    for kind in CORES:
        core = make_core(CoreConfig(kind=kind), LSTM_INPUT_SIZE).to(device)
        state = tuple(torch.rand_like(s) for s in core.initial_state(ACTING_BATCH, device))
        calls[kind] = partial(core, x, state, start)
        errors[kind] = _core_error(core, kind, x, state, start)
    if device.type == "cuda":
        calls = {name: replay_of(call, device) for name, call in calls.items()}
    right = {
        name: partial(_timed_step, call, device)
        for name, call in calls.items()
        if errors[name] < MAX_ERROR
    }
    samples = take_turns(right, 2 if settings.quick else 10 * settings.rounds)
    return [_acting_row(name, samples, errors[name]) for name in calls]


def _core_error(
    core: Core, kind: str, x: Tensor, state: tuple[Tensor, ...], start: Tensor
) -> float:
    """Returns the error of a step from the same core in float64 with the reference kernel."""
    exact = make_core(CoreConfig(kind=kind, kernel="reference"), LSTM_INPUT_SIZE).to(x.device)
    exact.load_state_dict(copy.deepcopy(core.state_dict()))
    y, after = core(x, state, start)
    wide = tuple(s.double() for s in state)
    wanted, wanted_after = exact.double()(x.double(), wide, start)
    pairs = zip((y, *after), (wanted, *wanted_after), strict=True)
    return max(_relative_rms(a, b) for a, b in pairs)


def _timed_step(call: Callable[[], object], device: torch.device) -> Sample:
    if device.type == "cuda":
        return (device_seconds(call),)
    begin = now(device)
    call()
    return (now(device) - begin,)


def _acting_row(name: str, samples: dict[str, list[Sample]], error: float) -> Row:
    timing = summarise([s for (s,) in samples[name]]) if name in samples else None
    return {
        "core": name,
        "T": 1,
        "B": ACTING_BATCH,
        "step_ms": timing.median if timing else None,
        "step_ms_quartiles": timing.quartiles if timing else None,
        "ok": timing is not None,
        "worst_error": error if error < torch.inf else None,
    }
