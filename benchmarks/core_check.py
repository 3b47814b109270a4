"""Checks a core, and measures it beside the built-in ones: size, acting, learning."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from statistics import median

import torch
from rich.console import Console
from rich.table import Table

from experiment.bounds import refuse_below
from models.cores import CORES, Core, CoreConfig, make_core
from models.cores.checks import Finding, check
from models.size import model_size

WIDTH = 120  # characters of a table
ACTING_BATCH, LEARNING_BATCH, UNROLL = 16, 16, 50
WORDS = {True: "[green]right[/]", False: "[red]WRONG[/]", None: "[dim]-[/]"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What is checked.

    Args:
        core: settings of the core beside its kind and bptt.
        input_size: features of one input row.
        rounds: calls that are timed, of each core.
    """

    core: CoreConfig
    input_size: int = 257
    rounds: int = 5

    def __post_init__(self) -> None:
        refuse_below(self, 1, "input_size", "rounds")


@dataclass(frozen=True)
class Measured:
    """One core's size, and milliseconds of one call."""

    parameters: int
    state_bytes: int
    acting_ms: float
    learning_ms: float


def main(settings: Settings) -> bool:
    """Checks and measures a core and prints two tables; returns whether nothing is wrong."""
    console = Console(width=WIDTH)
    kind = settings.core.kind
    findings = list(check(settings.core, settings.input_size))
    console.print(_found(kind, findings))
    for finding in findings:
        if finding.is_right is False:
            console.print(f"[red]WRONG[/] {finding.name}: {finding.look_at}", soft_wrap=True)
    others = [CoreConfig(kind=other) for other in CORES if other != kind]
    rows = {config.kind: measure(config, settings) for config in (settings.core, *others)}
    console.print(_measured(rows))
    return all(finding.is_right is not False for finding in findings)


def measure(config: CoreConfig, settings: Settings) -> Measured:
    """Returns what a core costs on this machine's CPU."""
    core = make_core(config, settings.input_size)
    acting = torch.randn(1, ACTING_BATCH, settings.input_size)
    learning = torch.randn(UNROLL, LEARNING_BATCH, settings.input_size)
    size = model_size(core)
    return Measured(
        parameters=size["parameters"],
        state_bytes=size["state_bytes"],
        acting_ms=_milliseconds(partial(_act, core, acting), settings.rounds),
        learning_ms=_milliseconds(partial(_learn, core, learning), settings.rounds),
    )


def _act(core: Core, x: torch.Tensor) -> None:
    with torch.inference_mode():
        core(x, core.initial_state(x.shape[1]), torch.zeros(x.shape[:2], dtype=torch.bool))


def _learn(core: Core, x: torch.Tensor) -> None:
    x = x.requires_grad_()
    y, _ = core(x, core.initial_state(x.shape[1]), torch.zeros(x.shape[:2], dtype=torch.bool))
    y.sum().backward()


def _milliseconds(call: Callable[[], None], rounds: int) -> float:
    """Returns the median of some calls, after two that are not timed."""

    def seconds() -> Iterator[float]:
        for _ in range(rounds + 2):
            begin = time.perf_counter()
            call()
            yield time.perf_counter() - begin

    return 1000 * median(list(seconds())[2:])


def _found(kind: str, findings: list[Finding]) -> Table:
    table = Table("check", "", "where it is wrong or left out", title=kind, width=WIDTH)
    for name, is_right, look_at in findings:
        table.add_row(name, WORDS[is_right], "" if is_right else look_at)
    return table


def _measured(rows: dict[str, Measured]) -> Table:
    title = (
        f"on this CPU: acting, {ACTING_BATCH} environments; learning, {UNROLL} steps of "
        f"{LEARNING_BATCH} with backward"
    )
    table = Table("core", title=title, width=WIDTH)
    for name in ("parameters", "state bytes", "acting, ms", "learning, ms"):
        table.add_column(name, justify="right")
    for kind, of in rows.items():
        times = (f"{of.acting_ms:.2f}", f"{of.learning_ms:.1f}")
        table.add_row(kind, f"{of.parameters:,}", f"{of.state_bytes:,}", *times)
    return table
