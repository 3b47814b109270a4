"""Guests: cores of the user's own, called as their plugin is, such as `my_core.py:MyCore`.

A guest is an `nn.Module` class, made as `MyCore(input_size, **args)`, args being `core.args`, with
`output_size` and `state_shapes` (one tuple a tensor, without the batch), and one of

- `step(x [B, D], state) -> (y [B, output_size], state)`, which is stepped over the unroll with
  resets and bptt;
- `forward(x [T, B, D], state, start [T, B])`, all of `Core.forward`, and then it is what counts;
- `forward(x [T, B, D], hx)` of `nn.LSTM` and `nn.GRU`, which returns the outputs and the new hx, a
  tensor [layers, B, N] or a tuple of them. It says its sizes itself.

A name alone imports nothing: a guest is made from the class that was registered for it, which the
command line does for what it names.
"""

import inspect
import traceback
from collections.abc import Callable
from dataclasses import MISSING, make_dataclass
from functools import partial
from pathlib import Path
from typing import Any, get_type_hints

import torch
from torch import Tensor, nn

from .adapters import Foreign, Whole
from .args import Value
from .base import Core
from .config import CoreConfig
from .spec import CoreSpec
from .stepped import Stepped

LOOKS = (  # colour on a light ground and on a dark one, and marker
    (("#8250df", "#bc8cff"), "P"),
    (("#116329", "#56d364"), "h"),
    (("#953800", "#ffa657"), "d"),
    (("#a40e26", "#ff7b72"), "p"),
)
_CLASSES: dict[str, type[nn.Module]] = {}


def register(name: str, cell: type[nn.Module]) -> None:
    """Has a core made from a class.

    Raises:
        ValueError: the class has neither a step nor the forward of a core.
    """
    assert is_guest(name), f"{name!r} is no name of a guest"
    if not (_is_whole(cell) or _has_step(cell) or _is_like_torch(cell)):
        raise ValueError(
            f"{name} has neither step(x, state) nor forward(x, state, start): "
            "one of them makes it a core"
        )
    _CLASSES[name] = cell


def is_guest(kind: str) -> bool:
    """Returns whether a kind of core is a guest's name."""
    return ":" in kind


def is_registered(name: str) -> bool:
    """Returns whether there is a class of a guest's name."""
    return name in _CLASSES


def guest_spec(name: str) -> CoreSpec:
    """Returns what is known of a guest; of one without a class, that it is called so."""
    (color, marker), cell = LOOKS[0], _CLASSES.get(name)
    args = None if cell is None else _declared_by(cell)
    return CoreSpec(make=partial(_make, name=name), args=args, color=color, marker=marker)


def _declared_by(cell: type[nn.Module]) -> type[Any]:
    """Returns a dataclass of the parameters behind `input_size` that are plain values."""
    made = _torch_layer if issubclass(cell, nn.RNNBase) else cell
    parameters = list(inspect.signature(made).parameters.values())[1:]
    try:
        hints = get_type_hints(made if inspect.isfunction(made) else cell.__init__)
    except NameError:  # names that only a type checker imports
        hints = {}
    fields = [
        (p.name, hints.get(p.name, Any), MISSING if p.default is p.empty else p.default)
        for p in parameters
        if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)
        and (p.default is p.empty or isinstance(p.default, Value))
    ]
    return make_dataclass("Args", fields, kw_only=True, namespace={"__doc__": cell.__doc__})


def _torch_layer(input_size: int, hidden_size: int = 64, num_layers: int = 1) -> None:
    """Has the parameters of torch's own layers, whose signature does not show them."""


def _is_whole(cell: type[nn.Module]) -> bool:
    """Returns whether a class runs a whole unroll itself."""
    return "start" in inspect.signature(cell.forward).parameters


def _has_step(cell: type[nn.Module]) -> bool:
    return callable(getattr(cell, "step", None))


def _is_like_torch(cell: type[nn.Module]) -> bool:
    """Returns whether a class is called as `nn.LSTM` is."""
    return (
        cell.forward is not nn.Module.forward
        and len(inspect.signature(cell.forward).parameters) == 3
    )


def _make(config: CoreConfig, input_size: int, *, name: str) -> Core:
    """Builds a guest and tries it on zeros.

    Raises:
        ValueError: it was not imported, cannot be built, or is no core.
    """
    if name not in _CLASSES:
        raise ValueError(
            f"{name} is code from outside, which a saved run or a config file does not import: "
            f"name it on the command line too, by --plugin {name}"
        )
    cell = _CLASSES[name]
    module = _call(f"{name} cannot be made", cell, input_size, **config.args)
    if not (_is_whole(cell) or _has_step(cell)):
        module = _call(
            f"{name}: forward of x [1, 1, {input_size}] fails", Foreign, module, input_size
        )
    _check_sizes(name, module)
    if not _is_whole(cell):
        core: Core = Stepped(module, config.bptt)
    elif config.bptt == "full":
        core = Whole(module)
    else:
        raise ValueError(f"{name} has a forward of its own, so that core.bptt must be full")
    if torch.get_default_device().type != "meta":
        _try(name, core, module, input_size)
    return core


def _check_sizes(name: str, module: Any) -> None:
    """Raises ValueError where a module does not say how large its outputs and its state are."""
    size, shapes = (getattr(module, of, None) for of in ("output_size", "state_shapes"))
    if not isinstance(size, int) or size < 1:
        raise ValueError(f"{name} needs output_size, features of an output row, got {size!r}")
    is_shapes = isinstance(shapes, (tuple, list)) and all(
        isinstance(shape, (tuple, list)) and all(isinstance(n, int) for n in shape)
        for shape in shapes
    )
    if not is_shapes:
        raise ValueError(
            f"{name} needs state_shapes, a tuple of the shape of each state tensor without the "
            f"batch, such as ((64,),), got {shapes!r}"
        )


def _try(name: str, core: Core, module: Any, input_size: int) -> None:
    """Raises ValueError where a call on zeros fails, or returns other shapes than promised."""
    T, B, state = 2, 3, core.initial_state(3)
    args: tuple[Any, ...]
    rows: tuple[int, ...] = (B,) if isinstance(core, Stepped) else (T, B)
    x = torch.zeros(*rows, input_size)
    with torch.random.fork_rng([]), torch.no_grad():
        module.eval()
        if isinstance(core, Stepped):
            what, run, args = "step", module.step, (x, state)
        else:
            what, run, args = "forward", module, (x, state, torch.zeros(T, B, dtype=torch.bool))
        what = f"{name}: {what} of x {_shape(x)} and state {_shape(state)}"
        returned = _call(f"{what} fails", run, *args)
        module.train()
    want = (torch.zeros(*rows, core.output_size), core.initial_state(B))
    if _shape(returned) != _shape(want):
        raise ValueError(
            f"{what} must return y and state of shapes {_shape(want)}, got {_shape(returned)}"
        )


def _call(what: str, call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Returns what code from outside returns.

    Raises:
        ValueError: with `what` went wrong, where it raises anything.
    """
    try:
        return call(*args, **options)
    except Exception as error:
        line = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{Path(line.filename).name} line {line.lineno}"
        raise ValueError(f"{what}: {type(error).__name__} in {where}: {error}") from error


def _shape(value: Any) -> str:
    """Returns the shape of a float32 tensor, the shapes of several, or else what it is."""
    if isinstance(value, Tensor):
        shape = str(list(value.shape))
        return shape if value.dtype == torch.float32 else f"{shape} {value.dtype}"
    if isinstance(value, (tuple, list)):
        return f"({', '.join(map(_shape, value))})"
    return type(value).__name__
