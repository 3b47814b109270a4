"""Runs of agents, for a report: a score is a mean return."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from agents.evaluation.evaluate import EvaluationConfig, num_games, standard_error
from agents.impala.config import TrainConfig, config_from_values
from agents.impala.shown import RETURN_TAG
from comparison.evaluation_record import Evaluation, made_on, sizes, unusual
from comparison.foreign_values import finite, finite_numbers, part
from comparison.run_kind import RunKind, Words
from envs import FAMILIES, Scores, canonical_game, family_of
from experiment.settings import flat_values

BEST_TAG = "return/best_last_100_games_points"
"""The highest value that RETURN_TAG had: POPGym's MMER, maximum over training of mean return."""


def default_episodes(game: str) -> int:
    """Returns how many games a score is the mean of."""
    return num_games(game, EvaluationConfig())


def _scale(config: TrainConfig) -> Scores | None:
    game = canonical_game(config.game)
    return family_of(game).scores(game, config.env)


def _read_evaluation(result: Mapping[str, Any], where: str, config: TrainConfig) -> Evaluation:
    """Returns what the result of `evaluate` says; the mean is taken over its games."""
    game = canonical_game(config.game)
    if result.get("game") != game:
        raise ValueError(f"{where} is of {str(result.get('game'))[:80]!r}, the run of {game}")
    games, settings = part(result, "episodes", dict, where), part(result, "settings", dict, where)
    returns = finite_numbers(games.get("return"), "return", where)
    if not len(returns):
        raise ValueError(f"{where} is no evaluation: it has no games")
    usual = flat_values(asdict(EvaluationConfig(episodes=default_episodes(game))))
    usual |= {"length": config.env.length}  # that of training, asked for or not
    return Evaluation(
        settings=unusual(settings | {"episodes": len(returns)}, usual),
        measures={"mean_return": float(np.mean(returns))},
        standard_error=standard_error(returns),
        num_examples=len(returns),
        done=int(finite(result.get("frames"), "frames", where)),
        updates=int(finite(result.get("updates"), "updates", where)),
        date=made_on(result),
        size=sizes(result, where),
    )


GAMES = ", ".join(f"{family.num_games} of {family.name}" for family in FAMILIES)
WORDS = Words(
    measure="mean return",
    mean="Mean return",
    scores="A seed's return is the mean over the games of its newest evaluation with sampled "
    f"actions, by default {GAMES}. Score = (return - floor) / (ceiling - floor): a random player "
    "and a human on Atari, guessing and perfection on a memory task. In brackets: floor and "
    "ceiling, and scores that others published under their own protocols, which are context, not "
    "a baseline.",
    curve="Return",
    curves="Mean return of the last 100 training games",
    others_title="The same policies, played otherwise",
    others="The same policies under other settings than those of the score: mean return over the "
    "seeds named, beside that of their scores. Where the length is another than that of training, "
    "this shows what generalises.",
    speed="Frames per second over the whole run, of one machine's training loop with everything "
    "in it: the median over the seeds, the slowest and the fastest. What else the machine did "
    "meanwhile is not recorded. Then each part's share of the time, env, inference and learner in "
    "their sum, and the core's, which is a part of inference and learner, forward and backward "
    "(runs made before it was measured know how much of inference core and heads took); the most "
    "memory held (the GPU's, or the process's); parameters of the policy and of its core; bytes of "
    "state that the core carries from step to step, for one environment.",
    usual=lambda game: (
        f"of {default_episodes(game)} games with sampled actions and the other default settings"
    ),
    evaluate="run_atari.py evaluate RUN, with its default number of games and sampled actions",
)

AGENTS = RunKind(
    name="agents",
    unit="frames",
    units_per_step=lambda game: family_of(game).frame_skip,
    Config=TrainConfig,
    task_setting="game",
    task_part="env.",
    read_config=config_from_values,
    task=lambda config: canonical_game(config.game),
    short_name=lambda game: family_of(game).short_name(game),
    scale=_scale,
    ends=lambda game: family_of(game).ends,
    memory=lambda game: family_of(game).memory(game),
    published=lambda game: family_of(game).published(game),
    measures=lambda config: ("mean_return",),
    read_evaluation=_read_evaluation,
    num_examples="num_games",
    curve=("frames", "seconds", "returns"),
    curve_tags=(RETURN_TAG,),
    best_tag=BEST_TAG,
    end_tags=(
        "frames",
        "updates",
        "wall_seconds",
        "memory/peak_bytes",
        "share/env",
        "share/inference",
        "share/learner",
        "share/core",
        "share/acting_core",  # of published runs: the part of inference in core and heads
    ),
    sizes={"length": "env.length"},
    words=WORDS,
)
