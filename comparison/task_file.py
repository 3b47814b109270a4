"""A file of the runs of one task: results/<suite>/<task>.json, what is left of their folders.

`settings` and `provenance` are what all its runs share, settings by full name. `runs` lists them:

- `core`, `seed`; `settings` and `provenance` of its own, beside the shared ones;
- `score`, the evaluation that makes it (or null), and `evaluations` of the same weights by other
  settings, each with the settings that differ;
- `end`, the last numbers of its metrics by tag;
- `curve`, at most CURVE_POINTS places of it: `frames`, `seconds`, and `returns`, the mean of the
  last 100 games.

It is read like a run folder, without trusting it.
"""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from agents.impala.config import config_from_values
from comparison.evaluation_record import evaluation_from_values
from comparison.foreign_values import finite, finite_numbers, json_object, part
from comparison.run_record import Metrics, RunRecord, evenly_spread, short_number
from envs import canonical_game
from experiment.settings import flat_values, nested_values, plain_values

CURVE_POINTS = 50
CURVE = ("frames", "seconds", "returns")
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
    try:
        config = config_from_values(nested_values(values))
        game = canonical_game(config.game)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None
    others = part(run, "evaluations", list, where)
    if not all(isinstance(values, dict) for values in (run.get("score") or {}, *others)):
        raise ValueError(f"{where}: an evaluation must be an object")
    return RunRecord(
        name=where,
        game=game,
        config=config,
        status="",
        origin=origin | part(run, "provenance", dict, where),
        metrics=_metrics(run, where),
        score=evaluation_from_values(run["score"], where) if run.get("score") else None,
        others=tuple(evaluation_from_values(values, where) for values in others),
    )


def _metrics(run: dict[str, Any], where: str) -> Metrics:
    curve, end = part(run, "curve", dict, where), part(run, "end", dict, where)
    columns = {name: finite_numbers(curve.get(name), name, where) for name in CURVE}
    if len({len(column) for column in columns.values()}) > 1:
        raise ValueError(f"{where}: {', '.join(CURVE)} of the curve must be of one length")
    return Metrics(**columns, is_cut=False, end={tag: finite(end[tag], tag, where) for tag in end})


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
    places = evenly_spread(len(run.metrics.frames), CURVE_POINTS)
    columns = {name: getattr(run.metrics, name)[places].tolist() for name in CURVE}
    return {
        "score": asdict(run.score) if run.score else None,
        "evaluations": [asdict(evaluation) for evaluation in run.others],
        "end": {tag: short_number(value) for tag, value in run.metrics.end.items()},
        "curve": {name: [short_number(x) for x in column] for name, column in columns.items()},
    }
