"""Settings tried on a seed of their own before a sweep: the best for each game and core is kept.

A trial is a whole run, in `<out>-tuning/<game>/<core>-<settings>/seed1001`, evaluated on games of
its own; `compare` and `publish` pass such folders over: what was chosen for its score is no seed of
what it was chosen for. `<out>-tuning/<game>-<core>.json` says what was tried, how well it
did, and what it cost.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from agents.evaluation.evaluate import EvaluationConfig
from agents.impala.config import TrainConfig
from experiment.files import file_name, read_json, write_json
from experiment.metrics import newest_row
from experiment.run_dir import TRIALS, status_word
from sweep.other_settings import refuse_other_settings
from sweep.plan import (
    Choice,
    RunPlan,
    Settings,
    SweepConfig,
    choices,
    matrix,
    plan_run,
)
from sweep.steps import is_trained, mean_return, score_path

TUNED = ("learner.learning_rate", "learner.entropy_cost")
WIDEST_FACTOR = 4.0
"""Values are drawn up to this factor above and below the config's, evenly in their logarithm."""
SEED = 1001
COSTS = ("frames", "wall_seconds")


def tuning_folder(out: Path) -> Path:
    """Returns the folder of the trials of a sweep into `out`."""
    return out.with_name(out.name + TRIALS)


class Trial(NamedTuple):
    """Settings, and the run that tries them."""

    settings: Settings
    plan: RunPlan


def plan_trials(sweep: SweepConfig) -> dict[Choice, list[Trial]]:
    """Returns `sweep.tune` trials for each game and core; the config's own settings are the first.

    Raises:
        ValueError: as `plan_runs`, or the sweep gives a setting that is to be tuned.
    """
    if not sweep.tune:
        return {}
    given = {text.partition("=")[0] for text in (*sweep.set, *sweep.vary)}
    if both := given.intersection(TUNED):
        raise ValueError(f"--tune draws {', '.join(sorted(both))}: leave it to it, or out")
    matrix(sweep)  # no trial is spent on a sweep that cannot be
    _refuse_begun(sweep)
    sweep = replace(sweep, out=tuning_folder(sweep.out), vary=(), lengths=None)
    return {choice: _trials(sweep, choice) for choice in choices(sweep)}


def _refuse_begun(sweep: SweepConfig) -> None:
    """Raises ValueError where a run was begun after another number of trials."""
    for game, core in choices(sweep):
        plans = matrix(replace(sweep, games=game, cores=core))
        record = _record(tuning_folder(sweep.out) / plans[0].path.parents[1].name, core)
        tried = len(read_json(record)["trials"]) if record.exists() else 0
        for plan in plans:
            if (plan.path / "config.yaml").exists() and tried != sweep.tune:
                raise ValueError(
                    f"{plan.path} was begun after {tried} trials, asked for are {sweep.tune}; "
                    "choose another --out"
                )


def _record(of_game: Path, core: str) -> Path:
    """Returns the file that says what was tried for a core, beside the trials of a game."""
    return of_game.with_name(f"{of_game.name}-{file_name(core)}.json")


def _trials(sweep: SweepConfig, choice: Choice) -> list[Trial]:
    config = plan_run(sweep, choice, SEED).config
    drawn = [_drawn(config, number) for number in range(sweep.tune)]
    games = (EvaluationConfig(seed=SEED),)  # not those that make a score
    trials = [
        Trial(it, replace(plan_run(sweep, choice, SEED, variation=it), evaluations=games))
        for it in drawn
    ]
    for trial in trials:
        refuse_other_settings(trial.plan.path, trial.plan.config)
    return trials


def is_tried(plan: RunPlan) -> bool:
    """Returns whether a trial has come to its end, well or ill; one that was stopped goes on."""
    if is_trained(plan):
        return score_path(plan, plan.evaluations[0]).exists()
    return status_word(plan.path) == "failed"


def keep_best(trials: Mapping[Choice, Sequence[Trial]]) -> dict[Choice, Settings]:
    """Returns the settings of the highest mean return, and records all that was tried.

    Raises:
        ValueError: every trial of a game and core has failed.
    """
    return {(game, core): _best(core, tried) for (game, core), tried in trials.items()}


def _best(core: str, trials: Sequence[Trial]) -> Settings:
    results = [_result(trial) for trial in trials]
    scored = [result for result in results if result["mean_return"] is not None]
    of_game = trials[0].plan.path.parents[1]
    if not scored:
        raise ValueError(f"every trial of {core} failed; their logs are in {of_game}")
    best: Settings = max(scored, key=lambda result: result["mean_return"])["settings"]
    spent = {name: sum(result[name] for result in results) for name in COSTS}
    write_json(_record(of_game, core), {"best": best, "trials": results, "spent": spent})
    return best


def _result(trial: Trial) -> dict[str, Any]:
    """Returns what came of a trial, as plain values; no return where it failed."""
    row = newest_row(trial.plan.path / "metrics.jsonl") or {}
    score = mean_return(trial.plan) if is_trained(trial.plan) else None
    cost = {name: row.get(name, 0) for name in COSTS}
    return {"settings": trial.settings, "mean_return": score} | cost


def _drawn(config: TrainConfig, number: int) -> Settings:
    """Returns multiples of a config's values, the same for every game and core; the first are 1."""
    rng = random.Random(number)
    factors = [WIDEST_FACTOR ** rng.uniform(-1, 1) if number else 1.0 for _ in TUNED]
    values = [getattr(config.learner, name.partition(".")[2]) for name in TUNED]
    return {
        name: f"{value * factor:.3g}"
        for name, value, factor in zip(TUNED, values, factors, strict=True)
    }
