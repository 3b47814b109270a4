"""What is known of one evaluation of a run, whatever it was read from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from comparison.foreign_values import finite, part
from experiment.settings import flat_values

MAX_VARIATION = 200  # characters


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What one saved set of weights came to.

    Args:
        settings: those that differ from an evaluation that makes a score, by full name.
        measures: what was measured, by name, that of the score first.
        standard_error: of the first; None where it is not known.
        num_examples: games or sequences behind it.
        done: frames or tokens of training behind the weights.
        updates: of training behind the weights.
        date: when it was made, as in 2026-11-24T18:32:24+00:00; "" where not recorded.
        size: parameters, core_parameters and state_bytes of the model, where recorded.
    """

    settings: dict[str, Any]
    measures: dict[str, float]
    standard_error: float | None
    num_examples: int
    done: int
    updates: int
    date: str
    size: dict[str, int]

    @property
    def value(self) -> float:
        """What makes the score."""
        return next(iter(self.measures.values()))

    @property
    def variation(self) -> str:
        """The settings as a reader wants them, "length=40, greedy=True"; "" for none."""
        named = (f"{name.split('.')[-1]}={value}" for name, value in self.settings.items())
        return ", ".join(named)[:MAX_VARIATION]


def sizes(values: Mapping[str, Any], where: str) -> dict[str, int]:
    """Returns the sizes that a file holds, {} where it holds none."""
    size = part({"size": {}} | dict(values), "size", dict, where)
    return {str(name): int(finite(value, name, where)) for name, value in size.items()}


def made_on(result: Mapping[str, Any]) -> str:
    """Returns the date of a result, "" where it is not recorded."""
    provenance = result.get("provenance")
    return str(provenance.get("date", ""))[:40] if isinstance(provenance, dict) else ""


def unusual(settings: Mapping[str, Any], usual: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the settings that differ from those of a score, by full name."""
    flat = flat_values(settings)
    return {name: v for name, v in flat.items() if v is not None and usual.get(name) != v}
