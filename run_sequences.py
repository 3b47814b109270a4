"""The command line of tasks with answers: train, evaluate, watch, compare, show. No logic."""

import json
import sys
from pathlib import Path

from experiment.stop_signals import end_on_signals

if __name__ == "__main__":
    end_on_signals()  # before the imports that take their time

from jsonargparse import ArgumentParser, Namespace

from experiment.arguments import fields_of, in_order, show_below, typed_values
from experiment.command_line import CommandLine, add_plugin, plain_parser, show_core
from experiment.training_command import run_parser, run_training
from run_atari import compare_parser, run_compare


def train_parser() -> ArgumentParser:
    """Returns the parser of `train`."""
    from sequences.config import SequenceConfig

    return run_parser(SequenceConfig, "Train a model on a task with answers.")


def evaluate_parser() -> ArgumentParser:
    """Returns the parser of `evaluate`."""
    from sequences.evaluate import EvaluationConfig

    parser = plain_parser("Ask a trained model for answers to sequences it has not learned from.")
    parser.add_argument("source", type=Path, help="run folder or checkpoint")
    parser.add_class_arguments(EvaluationConfig)
    add_plugin(parser)
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the results; null is the run's"
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    return parser


def watch_parser() -> ArgumentParser:
    """Returns the parser of `watch`."""
    from watch.config import FilmConfig

    parser = plain_parser("Film a trained model as it reads, with its memory beside the tokens.")
    parser.add_argument("source", type=Path, help="run folder or checkpoint")
    parser.add_class_arguments(FilmConfig)
    add_plugin(parser)
    return parser


def show_parser() -> ArgumentParser:
    """Returns the parser of `show`."""
    from sequences.config import TaskConfig
    from sequences.evaluate import EvaluationConfig
    from sequences.tasks import TASKS

    parser = plain_parser("Print examples of a task, with the answers that are right.")
    parser.add_argument("kind", help=", ".join(TASKS))
    parser.add_class_arguments(TaskConfig, "task", skip={"kind"})
    skip = {"examples", "context", "args"}
    parser.add_class_arguments(EvaluationConfig, skip=skip, as_group=False)
    parser.add_argument("--examples", type=int, default=3, help="how many")
    return parser


def _parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    """Returns what arguments say, with every plugin imported that they name."""
    _use_named(parser, arguments)
    parsed: Namespace = parser.instantiate(parser.parse_args(in_order(arguments)))
    return parsed


def _use_named(parser: ArgumentParser, arguments: list[str]) -> None:
    """Imports the plugins that are named; has the help end in the named task's and core's own."""
    from agents.plugins import use_named
    from sequences.tasks import find_task

    use_named(arguments)
    for kind in typed_values(arguments, {"task.kind"}):
        show_below(parser, find_task(kind).settings, "task.args")
    show_core(parser, arguments)


def run_train(parser: ArgumentParser, arguments: list[str]) -> int:
    """Trains, or resumes; returns REQUEUE where a scheduler should go on."""
    _use_named(parser, arguments)
    parsed = parser.parse_args(in_order(arguments))  # before the imports, which --help needs not
    from sequences.runs import TRAINING

    return run_training("run_sequences.py", TRAINING, parser, parsed, arguments)


def run_evaluate(parser: ArgumentParser, arguments: list[str]) -> None:
    """Evaluates, prints and writes the result."""
    parsed = _parse(parser, arguments)
    from experiment.result_folder import result_folder
    from sequences.display import evaluate_in_view
    from sequences.evaluate import EvaluationConfig, summary
    from sequences.results import save_result

    folder = result_folder(parsed.source, parsed.out)
    config = fields_of(EvaluationConfig, parsed)
    result = evaluate_in_view(parsed.source, config, sys.stderr if parsed.json else sys.stdout)
    print(json.dumps(result, indent=2) if parsed.json else summary(result), flush=True)
    path = save_result(folder, result)
    if not parsed.json:
        print(f"written to {path}")


def run_watch(parser: ArgumentParser, arguments: list[str]) -> None:
    """Films and prints where the film is."""
    from watch.config import FilmConfig

    parsed = _parse(parser, arguments)
    print(f"a film of {parsed.source}", flush=True)  # what draws takes seconds to import
    from watch.sequence_film import watch_sequences

    path = watch_sequences(parsed.source, fields_of(FilmConfig, parsed))
    print(f"written to {path}")


def run_show(parser: ArgumentParser, arguments: list[str]) -> None:
    """Prints examples."""
    if arguments and not arguments[0].startswith("-"):
        _use_named(parser, ["--task.kind", arguments[0]])
    parsed = parser.instantiate(parser.parse_args(in_order(arguments)))
    from sequences.config import TaskConfig, make_task
    from sequences.evaluate import EvaluationConfig
    from sequences.show import show

    asked = EvaluationConfig(split=parsed.split, seed=parsed.seed, examples=parsed.examples)
    task = make_task(TaskConfig(kind=parsed.kind, args=parsed.task.args))
    print(show(task, asked.split, asked.seed, asked.examples))


USAGE = """usage: run_sequences.py COMMAND [--help]

  train      train a model on a task with answers, or go on with a run
  evaluate   ask a trained model for answers to sequences it has not learned from
  watch      film a trained model as it reads, with its memory beside the tokens
  compare    a report on runs: scores, curves, speed and how sure they are
  show       print examples of a task, with the answers that are right"""


def memory_settings() -> str:
    """Returns which settings decide how much memory is held, in words."""
    from sequences.trainer import SequenceTrainer

    return SequenceTrainer.memory_settings


main = CommandLine(
    prog="run_sequences.py",
    usage=USAGE,
    commands={
        "train": (train_parser, run_train),
        "evaluate": (evaluate_parser, run_evaluate),
        "watch": (watch_parser, run_watch),
        "compare": (compare_parser, run_compare),
        "show": (show_parser, run_show),
    },
    memory_settings=memory_settings,
).main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
