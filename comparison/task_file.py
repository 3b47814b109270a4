"""A file of the runs of one task: results/<suite>/<task>.json, what is left of their folders.

`settings` and `provenance` are what all its runs share, settings by full name. `runs` lists them:

- `core`, `seed`; `settings` and `provenance` of its own, beside the shared ones;
- `score`, the evaluation that makes it (or null), and `evaluations` of the same weights by other
  settings, each with the settings that differ;
- `end`, the last numbers of its metrics by tag;
- `curve`, at most CURVE_POINTS places of it: `frames`, `seconds`, and `returns`, the mean of the
  last 100 games; of tasks with answers `tokens`, `seconds` and `scores`.

It is read like a run folder, without trusting it.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from comparison.evaluation_record import Evaluation
from comparison.evaluations import evaluation_from_values, evaluation_values
from comparison.foreign_values import finite, finite_numbers, json_object, part
from comparison.kinds import kind_of
from comparison.run_kind import RunKind
from comparison.run_record import Metrics, RunRecord, evenly_spread, short_number
from experiment.settings import flat_values, nested_values, plain_values

CURVE_POINTS = 50
OWN_FIELDS = {"core": "core.kind", "seed": "seed"}  # of a run, and the setting that each is
LEFT_OUT = "run_dir"  # where the run lay


def is_task_file(value: Any) -> bool:
    """Returns whether the content of a JSON file is meant to be one."""
    return isinstance(value, dict) and {"settings", "provenance", "runs"} <= value.keys()


def read_task_file(path: Path) -> list[RunRecord]:
    """Reads the runs of a file.

    Raises:
        ValueError: something in it is unusable; the message names the file.
    """
    table = json_object(path)
    settings = part(table, "settings", dict, str(path))
    origin = part(table, "provenance", dict, str(path))
    runs = part(table, "runs", list, str(path))
    if not runs:
        raise ValueError(f"{path} has no runs")
    return [_run(run, f"{path} runs[{i}]", settings, origin) for i, run in enumerate(runs)]


def task_file_of(runs: Sequence[RunRecord]) -> dict[str, Any]:
    """Returns the content of the file of these runs."""
    settings = [_settings(run) for run in runs]
    shared_settings = _shared(settings)
    shared_origin = _shared([run.origin for run in runs])
    return {
        "settings": shared_settings,
        "provenance": shared_origin,
        "runs": [
            {name: values.pop(full) for name, full in OWN_FIELDS.items()}
            | {
                "settings": _beside(shared_settings, values),
                "provenance": _beside(shared_origin, run.origin),
            }
            | _outcome(run)
            for run, values in zip(runs, settings, strict=True)
        ],
    }


def _run(run: Any, where: str, settings: dict[str, Any], origin: dict[str, Any]) -> RunRecord:
    if not isinstance(run, dict):
        raise ValueError(f"{where} must be an object, got {repr(run)[:80]}")
    for name in OWN_FIELDS:
        if run.get(name) is None:
            raise ValueError(f"{where} has no {name}")
    own = {full: run[name] for name, full in OWN_FIELDS.items()}
    values = settings | part(run, "settings", dict, where) | own
    kind = kind_of(values)
    try:
        config = kind.read_config(nested_values(values))
        task = kind.task(config)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    score, others = run.get("score"), part(run, "evaluations", list, where)
    if not all(isinstance(values, dict) for values in (score or {}, *others)):
        raise ValueError(f"{where}: an evaluation must be an object")

    def evaluation(values: dict[str, Any]) -> Evaluation:
        return evaluation_from_values(values, where, kind, config)

    return RunRecord(
        name=where,
        kind=kind,
        task=task,
        config=config,
        status="",
        origin=origin | part(run, "provenance", dict, where),
        metrics=_metrics(run, where, kind),
        score=evaluation(score) if score else None,
        others=tuple(map(evaluation, others)),
    )


def _metrics(run: dict[str, Any], where: str, kind: RunKind) -> Metrics:
    curve, end = part(run, "curve", dict, where), part(run, "end", dict, where)
    columns = [finite_numbers(curve.get(name), name, where) for name in kind.curve]
    if len({len(column) for column in columns}) > 1:
        raise ValueError(f"{where}: {', '.join(kind.curve)} of the curve must be of one length")
    done, seconds, scores = columns
    return Metrics(
        done=done,
        seconds=seconds,
        scores=scores,
        is_cut=False,
        end={tag: finite(end[tag], tag, where) for tag in end},
    )


def _settings(run: RunRecord) -> dict[str, Any]:
    values = flat_values(plain_values(run.config))
    return {name: value for name, value in values.items() if name != LEFT_OUT}


def _shared(of_runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Returns what all have in common; what a run says itself is never shared."""
    first, *others = of_runs
    return {
        name: value
        for name, value in first.items()
        if name not in OWN_FIELDS.values()
        and all(name in other and other[name] == value for other in others)
    }


def _beside(shared: dict[str, Any], values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if name not in shared}


def _outcome(run: RunRecord) -> dict[str, Any]:
    of, kind = run.metrics, run.kind
    places = evenly_spread(len(of.done), CURVE_POINTS)
    columns = zip(kind.curve, (of.done, of.seconds, of.scores), strict=True)
    return {
        "score": evaluation_values(run.score, kind) if run.score else None,
        "evaluations": [evaluation_values(evaluation, kind) for evaluation in run.others],
        "end": {tag: short_number(value) for tag, value in of.end.items()},
        "curve": {
            name: [short_number(x) for x in column[places].tolist()] for name, column in columns
        },
    }
