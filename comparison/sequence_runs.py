"""Runs on tasks with answers, for a report: a score is an accuracy, or bits per byte of a text."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from comparison.evaluation_record import Evaluation, made_on, sizes, unusual
from comparison.foreign_values import finite, part
from comparison.run_kind import RunKind, Words
from envs import Scores
from experiment.settings import flat_values
from sequences.config import SequenceConfig, complete_settings, config_from_values
from sequences.evaluate import EvaluationConfig
from sequences.runs import SCORES
from sequences.tasks import TASKS, find_task

NOT_OF_TEXTS = ("examples", "seed")  # which are read whole, in their order


def _measures(config: SequenceConfig) -> tuple[str, ...]:
    """Returns what an evaluation measures, that which makes the score first."""
    return find_task(config.task.kind).measures


def _scale(config: SequenceConfig) -> Scores:
    return Scores(*find_task(config.task.kind).scale)


def _read_evaluation(result: Mapping[str, Any], where: str, config: SequenceConfig) -> Evaluation:
    """Returns what the result of `evaluate` says."""
    task, names = config.task.kind, _measures(config)
    if result.get("task") != task:
        raise ValueError(f"{where} is of {str(result.get('task'))[:80]!r}, the run of {task}")
    settings = part(result, "settings", dict, where)
    if find_task(task).has_segments:
        settings = {name: v for name, v in settings.items() if name not in NOT_OF_TEXTS}
    usual = flat_values(asdict(EvaluationConfig(args=config.task.args)))  # of training, or not said
    return Evaluation(
        settings=unusual(settings, usual),
        measures={name: finite(result.get(name), name, where) for name in names},
        standard_error=None,
        num_examples=int(finite(result.get("sequences"), "sequences", where)),
        done=int(finite(result.get("tokens"), "tokens", where)),
        updates=int(finite(result.get("updates"), "updates", where)),
        date=made_on(result),
        size=sizes(result, where),
    )


WORDS = Words(
    measure="accuracy, or bits per byte",
    mean="Share of sequences without a mistake, or bits per byte of a text (less is better), mean",
    scores="A seed's accuracy is the share of sequences without a mistake among 1,000 of the "
    "test split, those that the task's settings describe; of a text it is the bits that a"
    " byte of the whole test split costs, less being better, with the state carried over "
    "each document. Score = (measure - floor) / (ceiling - floor), from guessing to "
    "perfection: of ListOps the same answer always is right 18 times in a hundred, and a "
    "guessed byte costs 8 bits. Beside them what else the evaluation measured: the share "
    "of right answers where an answer is given, and the mean of -ln p of all answers that"
    " count, whose exponential is the perplexity.",
    curve="Score in training",
    curves="In training, before each update: the share of sequences without a mistake, or bits per "
    "byte, of examples not learned from yet, but for a text that is read more than once",
    others_title="The same models, asked otherwise",
    others="The same models under other settings than those of the score: longer or deeper "
    "sequences than in training, or a text read with an empty state at the beginning of each "
    "segment (context=reset). The mean over the seeds named, beside that of their scores.",
    speed="Tokens per second over the whole run, of one machine's training loop with everything in "
    "it: the median over the seeds, the slowest and the fastest. What else the machine did "
    "meanwhile is not recorded. Then the most memory held (the GPU's, or the process's); "
    "parameters of the model and of its core; bytes of state that the core carries from token to "
    "token.",
    usual=lambda task: "by the default settings",
    evaluate="run_sequences.py evaluate RUN, with its default settings",
)

SEQUENCES = RunKind(
    name="models of tasks with answers",
    unit="tokens",
    Config=SequenceConfig,
    task_setting="task.kind",
    task_part="task.args.",
    read_config=lambda values: complete_settings(config_from_values(values)),
    task=lambda config: config.task.kind,
    scale=_scale,
    ends=lambda task: ("guessing", "perfect"),
    measures=_measures,
    read_evaluation=_read_evaluation,
    num_examples="num_sequences",
    curve=("tokens", "seconds", "scores"),
    curve_tags=tuple(SCORES),
    end_tags=("tokens", "updates", "wall_seconds", "memory/peak_bytes"),
    sizes={f"args.{of.size}": f"task.args.{of.size}" for of in TASKS.values() if of.size},
    words=WORDS,
)
