"""The evaluations of a run: which makes the run's score, and which stand beside it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from comparison.evaluation_record import Evaluation, sizes
from comparison.foreign_values import finite, json_object, part
from comparison.run_kind import RunKind


def read_evaluations(
    path: Path, kind: RunKind, config: Any
) -> tuple[Evaluation | None, tuple[Evaluation, ...]]:
    """Returns the evaluation that makes a run's score, and what it is held against.

    Args:
        path: run folder.
        kind: of run.
        config: settings of the run.

    Returns:
        The newest evaluation by the settings that make a score, or None; and the newest of the
        same checkpoint by each other settings. Those of other checkpoints say something about
        training, not about settings, and are left out.

    Raises:
        ValueError: an evaluation is broken, or of another task.
    """
    files = sorted([*path.glob("evaluation*.json"), *path.glob("evaluation/*.json")])
    read = [kind.read_evaluation(json_object(file), str(file), config) for file in files]
    made = sorted(read, key=lambda e: (e.updates, e.date))
    score = next((e for e in reversed(made) if not e.settings), None)
    others = {e.variation: e for e in made if score and e.settings and e.updates == score.updates}
    names = sorted(others, key=lambda name: (len(name), name))  # 40 before 100
    return score, tuple(others[name] for name in names)


def evaluation_from_values(
    values: Mapping[str, Any], where: str, kind: RunKind, config: Any
) -> Evaluation:
    """Returns the evaluation whose fields a file of runs holds by name.

    Raises:
        ValueError: a field is missing or unusable; the message begins with `where`.
    """
    error = values.get("standard_error")
    return Evaluation(
        settings=part(values, "settings", dict, where),
        measures={name: finite(values.get(name), name, where) for name in kind.measures(config)},
        standard_error=None if error is None else finite(error, "standard_error", where),
        num_examples=int(finite(values.get(kind.num_examples), kind.num_examples, where)),
        done=int(finite(values.get(kind.unit), kind.unit, where)),
        updates=int(finite(values.get("updates"), "updates", where)),
        date=str(values.get("date", ""))[:40],
        size=sizes(values, where),
    )


def evaluation_values(of: Evaluation, kind: RunKind) -> dict[str, Any]:
    """Returns the fields of an evaluation as a file of runs holds them."""
    return {
        "settings": of.settings,
        **of.measures,
        "standard_error": of.standard_error,
        kind.num_examples: of.num_examples,
        kind.unit: of.done,
        "updates": of.updates,
        "date": of.date,
        "size": of.size,
    }
