"""A policy from its file alone: what it is made of stands there beside its weights.

A file's values are those of the run that wrote it: `config` with the settings of `encoder`, `core`
and `policy`, and `spec` with the shape of an observation and the number of actions. The weights
are its tensors `policy.*`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from . import tensor_file
from .cores import CoreConfig, is_guest, is_registered, register
from .encoders import EncoderConfig
from .policy import Policy, PolicyConfig

WEIGHTS = "policy."
UNUSABLE = (AttributeError, KeyError, OverflowError, RuntimeError, TypeError, ValueError)
"""What settings of wrong names, types and sizes come to where a policy is built of them."""


def load_policy(path: str | Path, core: type[nn.Module] | None = None) -> Policy:
    """Returns the policy of a `policy.safetensors` or a checkpoint, ready to play, on the CPU.

    It computes with the kernel that fits this machine, whichever one trained it. Nothing in the
    file is run.

    Args:
        path: the file.
        core: class of the core where it is no built-in one: the file holds its name alone.

    Raises:
        ValueError: no such file, a damaged one, or one that holds no policy; `core` is missing, or
            is no core, or there is no need of it.
    """
    tensors, values = tensor_file.read(Path(path))
    weights = {
        name.removeprefix(WEIGHTS): tensor
        for name, tensor in tensors.items()
        if name.startswith(WEIGHTS)
    }
    try:
        _register(core, values)
        return policy_from_values(values, weights)
    except ValueError as error:
        raise ValueError(f"{path} {error}") from None


def _register(core: type[nn.Module] | None, values: Mapping[str, Any]) -> None:
    """Has the guest that a file's values name made from a class.

    Raises:
        ValueError: they name no guest, or one whose class is not known; a predicate of the file.
    """
    kind = _described(values).core.kind
    if core is None:
        if is_guest(kind) and not is_registered(kind):
            raise ValueError(
                f"holds a policy with the core {kind}, which is code from outside: "
                "give its class, load_policy(path, core=...)"
            )
    elif is_guest(kind):
        register(kind, core)
    else:
        raise ValueError(f"holds a policy with the built-in core {kind}: leave out core=")


def policy_from_values(values: Mapping[str, Any], weights: Mapping[str, Tensor]) -> Policy:
    """Returns the policy that a file's values describe, with its weights, for this machine.

    Raises:
        ValueError: they make no policy; the message is a predicate of the file.
    """
    check_policy(values, weights)
    policy = Policy(*_described(values))
    policy.load_state_dict(weights)
    return policy.eval()


def check_policy(values: Mapping[str, Any], weights: Mapping[str, Any]) -> None:
    """Raises ValueError, as a predicate of the file, where values and weights make no policy.

    The policy is built without memory: both must agree before any is allocated.
    """
    described = _described(values)
    if is_guest(described.core.kind) and not is_registered(described.core.kind):
        return  # whoever makes the policy is told what is missing
    try:
        with torch.device("meta"), _Uninitialised():
            like = Policy(*described).state_dict()
    except UNUSABLE as error:
        raise ValueError(f"holds no policy: {tensor_file.in_one_line(error)}") from None
    if difference := _difference(weights, like):
        raise ValueError(
            f"holds weights of another policy than its {described.encoder.kind} encoder, "
            f"{described.core.kind} core and {described.num_actions} actions describe: "
            f"{difference}"
        )


class _Uninitialised(TorchFunctionMode):
    """Makes modules without drawing their weights.

    On the meta device there is nothing to draw, and torch would load its compiler to do so.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Returns what torch's function does, of `normal_` the tensor as it is."""
        named = kwargs or {}
        return named["tensor"] if func is nn.init.normal_ else func(*args, **named)


class _Described(NamedTuple):
    """What a policy is made of: the arguments of `Policy`."""

    observation_shape: tuple[int, ...]
    observation_dtype: str
    num_actions: int
    encoder: EncoderConfig
    core: CoreConfig
    config: PolicyConfig
    symbols: tuple[int, ...]


def _described(values: Mapping[str, Any]) -> _Described:
    """Returns what a file's values say of its policy; settings that they lack have defaults.

    Raises:
        ValueError: they say too little, or what cannot be; a predicate of the file.
    """
    try:
        config, spec = values["config"], values["spec"]
        return _Described(
            tuple(spec["observation_shape"]),
            spec["observation_dtype"],
            spec["num_actions"],
            EncoderConfig(**config.get("encoder", {})),
            replace(CoreConfig(**config.get("core", {})), kernel="auto"),
            PolicyConfig(**config.get("policy", {})),
            tuple(spec.get("symbols", ())),
        )
    except UNUSABLE as error:
        raise ValueError(f"holds no policy: {tensor_file.in_one_line(error)}") from None


def _difference(weights: Mapping[str, Any], like: Mapping[str, Tensor]) -> str | None:
    """Returns how weights differ from those of a policy in names, shapes or kind of number."""
    for name in like:
        if name not in weights:
            return f"there is no {name}"
    for name, weight in weights.items():
        if name not in like:
            return f"there is a {name}"
        kind = like[name].dtype
        if not isinstance(weight, Tensor) or not _is_of_kind(weight, kind):
            wanted = "floating-point numbers" if kind.is_floating_point else str(kind)
            return f"{name} is no tensor of {wanted}"
        if weight.shape != like[name].shape:
            return f"{name} must be {list(like[name].shape)}, got {list(weight.shape)}"
    return None


def _is_of_kind(weight: Tensor, kind: torch.dtype) -> bool:
    """Returns whether numbers are of a dtype; where that is a float, of any float."""
    return weight.is_floating_point() if kind.is_floating_point else weight.dtype == kind
