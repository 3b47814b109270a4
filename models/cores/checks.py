"""Is a recurrence right for reinforcement learning? Faults that look like a core that learns badly.

A core is tried on a short unroll whose batch has episodes that begin in its middle. What must be
the same is compared bit for bit where the same is computed, else within float32's rounding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .adapters import Foreign
from .base import Core, CoreState
from .config import CoreConfig
from .registry import make_core
from .stepped import Stepped

T, B = 9, 4
AT, ENV = 4, 1
"""Row and environment of the start that is looked at."""
TOLERANCE = 1e-4
"""Relative to the largest value: float32 sums in another order differ by some 1e-6."""


class Finding(NamedTuple):
    """What one check found.

    Args:
        name: what is right where nothing is wrong.
        is_right: None where it does not apply.
        look_at: what to look at where it is wrong, or why it does not apply.
    """

    name: str
    is_right: bool | None
    look_at: str


@dataclass
class Trial:
    """A core and an unroll to try it on."""

    core: Core
    x: Tensor
    state: CoreState
    start: Tensor

    @classmethod
    def of(cls, config: CoreConfig, input_size: int) -> "Trial":
        """Builds a core, with the state that an unroll before this one left."""
        torch.manual_seed(0)
        core = make_core(config, input_size)
        start = torch.zeros(T, B, dtype=torch.bool)
        with torch.no_grad():
            _, state = core(torch.randn(T, B, input_size), core.initial_state(B), start)
        start = start.clone()
        start[AT, ENV] = start[2, 0] = True
        state = tuple(tensor.clone() for tensor in state)
        return cls(core, torch.randn(T, B, input_size), state, start)

    def run(self, **changed: object) -> tuple[Tensor, CoreState]:
        """Returns the core's outputs and state, without gradient."""
        of = replace(self, **changed)  # type: ignore[arg-type]
        with torch.no_grad():
            y, state = of.core(of.x.clone(), _copy(of.state), of.start)
        return y.clone(), _copy(state)

    def gradients(self, rows: slice, env: int) -> tuple[Tensor, CoreState]:
        """Returns the gradient of an environment's outputs, to inputs and to the state before."""
        x, state = self.x.clone().requires_grad_(), _copy(self.state)
        wanted = (x, *(tensor.requires_grad_() for tensor in state))
        y, _ = self.core(x, state, self.start)
        weights = torch.linspace(0.5, 1.5, y.shape[-1])
        loss = (y[rows, env] * weights).sum()
        if not loss.requires_grad:
            return torch.zeros_like(x), tuple(map(torch.zeros_like, state))
        to_x, *to_state = torch.autograd.grad(
            loss, wanted, allow_unused=True, materialize_grads=True
        )
        return to_x, tuple(to_state)


def check(config: CoreConfig, input_size: int) -> Iterator[Finding]:
    """Yields what every check finds of a core.

    Args:
        config: of the core; bptt is left out.
        input_size: features of one input row.

    Raises:
        ValueError: it cannot be made.
    """
    trial = Trial.of(replace(config, bptt="full"), input_size)
    for look in CHECKS:
        yield look(trial)
    yield _bptt_1_is_cut(config, input_size)


def _start_wipes(trial: Trial) -> Finding:
    later = _reads_past(trial)[AT + 1 :]
    return Finding(
        "a start wipes the state",
        not bool(later.any()),
        "rows behind a start read what was before it: zero every state tensor where start is true",
    )


def _start_is_in_time(trial: Trial) -> Finding:
    reads, (y, _) = _reads_past(trial), trial.run()
    is_late = bool(reads[AT]) and not bool(reads[AT + 1 :].any())
    y_unmarked, _ = trial.run(start=torch.zeros_like(trial.start))
    is_early = not torch.equal(y[:AT, ENV], y_unmarked[:AT, ENV])
    return Finding(
        "it does so before the row is consumed",
        not (is_late or is_early),
        "the state is wiped after the row with the start: wipe it before the step"
        if is_late
        else "a start changes rows before it: it belongs to its own row",
    )


def _begins_at_zero(trial: Trial) -> Finding:
    if bool(_reads_past(trial).any()):
        return Finding("a start is as a new core", None, "the state is not wiped")
    y, _ = trial.run()
    no_start = torch.zeros_like(trial.start[AT:])
    anew, _ = trial.run(x=trial.x[AT:], start=no_start, state=trial.core.initial_state(B))
    return Finding(
        "a start is as a new core",
        _close(y[AT:, ENV], anew[:, ENV]),
        "what a start leaves is not the all-zero state that a game begins with",
    )


def _gradient_stops(trial: Trial) -> Finding:
    to_x, to_state = trial.gradients(slice(AT, T), ENV)
    crosses = to_x[:AT, ENV].any() or any(tensor[ENV].any() for tensor in to_state)
    return Finding(
        "no gradient crosses a start",
        not bool(crosses),
        "the wiped state still has a gradient: choose by torch.where(start, 0, state)",
    )


def _environments_are_apart(trial: Trial) -> Finding:
    to_x, to_state = trial.gradients(slice(0, T), ENV)
    others = [env for env in range(B) if env != ENV]
    mixes = to_x[:, others].any() or any(tensor[others].any() for tensor in to_state)
    return Finding(
        "environments do not mix",
        not bool(mixes),
        "an output depends on another environment: the batch is dimension 1 of x, 0 of the state",
    )


def _gradient_reaches_back(trial: Trial) -> Finding:
    name = "bptt full: gradient reaches the first row"
    if not trial.state:
        return Finding(name, None, "it has no state")
    to_x, _ = trial.gradients(slice(T - 1, T), B - 1)
    return Finding(
        name,
        bool(to_x[0, B - 1].any()),
        "the last output teaches the first row nothing: a state is detached, or not read",
    )


def _steps_are_the_sequence(trial: Trial) -> Finding:
    y, last = trial.run()
    state, rows = trial.state, []
    for t in range(T):
        row, state = trial.run(x=trial.x[t : t + 1], state=state, start=trial.start[t : t + 1])
        rows.append(row)
    is_same = _close(torch.cat(rows), y) and all(map(_close, state, last))
    if isinstance(trial.core, Stepped) and isinstance(trial.core.cell, Foreign):
        y, _ = trial.run(start=torch.zeros_like(trial.start))
        with torch.no_grad():
            whole, _ = trial.core.cell.sequence(trial.x, trial.state)
        is_same = is_same and _close(whole, y)
    return Finding(
        "steps give what the sequence gives",
        is_same,
        "acting (T = 1) and learning (T rows) differ: is all that carries over in the state?",
    )


def _arguments_are_kept(trial: Trial) -> Finding:
    x, state = trial.x.clone(), _copy(trial.state)
    with torch.no_grad():
        trial.core(x, state, trial.start)
    is_kept = torch.equal(x, trial.x) and all(map(torch.equal, state, trial.state))
    return Finding(
        "state and input are not changed in place",
        is_kept,
        "what was passed in has other values after the call: no `+=`, `copy_` or `[...] =` on it",
    )


def _evaluation_is_training(trial: Trial) -> Finding:
    y, last = trial.run()
    trial.core.eval()
    y_evaluated, last_evaluated = trial.run()
    trial.core.train()
    is_same = _close(y, y_evaluated) and all(map(_close, last, last_evaluated))
    return Finding(
        "evaluation computes what training does",
        is_same,
        "train() and eval() differ (dropout, batch norm?): actors' log-probabilities are not those "
        "that the learner corrects",
    )


def _is_deterministic(trial: Trial) -> Finding:
    torch.manual_seed(1)
    first = (*_flat(trial.run()), *_flat(trial.gradients(slice(0, T), ENV)))
    second = (*_flat(trial.run()), *_flat(trial.gradients(slice(0, T), ENV)))
    return Finding(
        "the same call gives the same bits",
        all(map(torch.equal, first, second)),
        "two calls differ: random numbers, or something that is kept between calls",
    )


def _bptt_1_is_cut(config: CoreConfig, input_size: int) -> Finding:
    name = "bptt 1: gradient stays in its row"
    try:
        trial = Trial.of(replace(config, bptt=1), input_size)
    except ValueError as error:
        return Finding(name, None, str(error))
    if not trial.state:
        return Finding(name, None, "it has no state")
    to_x, to_state = trial.gradients(slice(T - 1, T), B - 1)
    reaches = to_x[: T - 1].any() or any(tensor.any() for tensor in to_state)
    return Finding(
        name, not bool(reaches), "the state that enters a step has a gradient: detach it"
    )


CHECKS: tuple[Callable[[Trial], Finding], ...] = (
    _start_wipes,
    _start_is_in_time,
    _begins_at_zero,
    _gradient_stops,
    _environments_are_apart,
    _gradient_reaches_back,
    _steps_are_the_sequence,
    _arguments_are_kept,
    _evaluation_is_training,
    _is_deterministic,
)


def _reads_past(trial: Trial) -> Tensor:
    """Returns, per row [T] of the environment with the start, whether it reads what was before.

    Everything before the start is replaced, by values of the same size.
    """
    x = trial.x.clone()
    x[:AT, ENV] = -2 * x[:AT, ENV] + 1
    state = _copy(trial.state)
    for tensor in state:
        tensor[ENV] = -2 * tensor[ENV] + 1
    (y, _), (other, _) = trial.run(), trial.run(x=x, state=state)
    reads = (y[:, ENV] != other[:, ENV]).any(-1)
    reads[:AT] = False
    return reads


def _close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=TOLERANCE, atol=TOLERANCE * max(1.0, float(b.abs().max())))


def _copy(state: CoreState) -> CoreState:
    return tuple(tensor.detach().clone() for tensor in state)


def _flat(returned: tuple[Tensor, CoreState]) -> tuple[Tensor, ...]:
    return (returned[0], *returned[1])
