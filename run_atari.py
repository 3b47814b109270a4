"""The command line: train, sweep, evaluate, watch, compare, check, bench. No logic."""

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

from experiment.stop_signals import end_on_signals

if __name__ == "__main__":
    end_on_signals()  # before the imports that take their time

from jsonargparse import ArgumentParser, Namespace

from experiment.arguments import fields_of, in_order, typed
from experiment.command_line import Command, CommandLine, add_plugin, plain_parser, show_core
from experiment.training_command import run_parser, run_training


def _add_greedy(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--greedy", action="store_true", help="take the likeliest action instead of sampling"
    )


def train_parser() -> ArgumentParser:
    """Returns the parser of `train`."""
    from agents.impala.config import TrainConfig

    return run_parser(TrainConfig, "Train an agent.")


def sweep_parser() -> ArgumentParser:
    """Returns the parser of `sweep`."""
    from sweep.plan import SweepConfig

    parser = plain_parser(
        "Train and evaluate every combination of games, cores, settings and seeds."
    )
    parser.add_class_arguments(SweepConfig, skip={"vary", "set", "print"})
    parser.add_argument(
        "--print", action="store_true", help="one shell command a line of what is left; run nothing"
    )
    add_plugin(parser)
    for name, text in (
        ("vary", "settings to combine, such as learner.entropy_cost=0.01,0.003"),
        ("set", "settings of all runs, such as total_frames=100000"),
    ):
        parser.add_argument(
            f"--{name}", type=str, nargs="+", action="extend", default=[], help=text
        )
    return parser


def evaluate_parser() -> ArgumentParser:
    """Returns the parser of `evaluate`."""
    from agents.evaluation.evaluate import EvaluationConfig

    parser = plain_parser("Play whole games with a saved policy.")
    parser.add_argument("source", type=Path, help="run folder, checkpoint or policy.safetensors")
    parser.add_class_arguments(EvaluationConfig, skip={"greedy"})
    _add_greedy(parser)
    add_plugin(parser)
    parser.add_argument(
        "--num_threads",
        type=int,
        default=1,
        help="threads of the policy: more are hardly faster, and far slower on a busy machine; "
        "0 is torch's own choice",
    )
    parser.add_argument(
        "--out", type=Path | None, default=None, help="folder of the results; null is the policy's"
    )
    parser.add_argument("--all", action="store_true", help="every checkpoint of a run folder")
    parser.add_argument(
        "--json", action="store_true", help="print the result, with --all a list of them, as JSON"
    )
    return parser


def watch_parser() -> ArgumentParser:
    """Returns the parser of `watch`."""
    from watch.config import WatchConfig

    parser = plain_parser("Film games of a saved policy, with its memory beside the picture.")
    parser.add_argument("source", type=Path, help="run folder, checkpoint or policy.safetensors")
    parser.add_class_arguments(WatchConfig, skip={"greedy", "board"})
    _add_greedy(parser)
    parser.add_argument(
        "--board", action="store_true", help="a .gif, shown in the run's TensorBoard too"
    )
    add_plugin(parser)
    return parser


def compare_parser() -> ArgumentParser:
    """Returns the parser of `compare`."""
    parser = plain_parser("Compare runs: a report of scores, curves, speed and how sure they are.")
    parser.add_argument(
        "folders", type=Path, nargs="+", help="run folders, or folders that hold them"
    )
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    return parser


def check_parser() -> ArgumentParser:
    """Returns the parser of `check`."""
    from benchmarks.core_check import Settings
    from models.cores import CoreConfig

    parser = plain_parser("Check that a core is right for reinforcement learning, and measure it.")
    parser.add_argument("kind", help="a built-in core, or FILE.py:CLASS of your own")
    parser.add_class_arguments(Settings, skip={"core"})
    parser.add_class_arguments(CoreConfig, "core", skip={"kind", "bptt"})
    return parser


def bench_parser() -> ArgumentParser:
    """Returns the parser of `bench`, with a subcommand per benchmark."""
    from agents.impala.config import TrainConfig
    from benchmarks import kernels, sequences, throughput
    from benchmarks.kernel_cases import OPS

    parser = plain_parser("Measure this machine.")
    parser.prog = "run_atari.py bench"
    benchmarks = parser.add_subcommands(dest="benchmark")
    kernel_parser = plain_parser("Check and time every recurrence in every backend, side by side.")
    kernel_parser.add_class_arguments(kernels.Settings, skip={"compiled", "quick", "ops"})
    kernel_parser.add_argument(
        "--ops", type=str, nargs="+", default=list(OPS), help="recurrences to time"
    )
    kernel_parser.add_argument(
        "--compiled", action="store_true", help="also the loop under torch.compile: minutes"
    )
    kernel_parser.add_argument("--quick", action="store_true", help="tiny shapes, writes no file")
    loop_parser = plain_parser("Time the training loop, its parts, and a plain loop, side by side.")
    loop_parser.add_argument("--config", action="config", help="YAML file of training settings")
    loop_parser.add_class_arguments(throughput.Settings, skip={"peers"})
    loop_parser.add_argument(
        "--peers", action="store_true", help="also Stable-Baselines3's RecurrentPPO (extra: peers)"
    )
    loop_parser.add_class_arguments(TrainConfig)
    sequence_parser = plain_parser("Time models that read sequences beside PyTorch's own.")
    sequence_parser.add_class_arguments(sequences.Settings)
    parsers = {"kernels": kernel_parser, "throughput": loop_parser, "sequences": sequence_parser}
    for name, benchmark in parsers.items():
        benchmark.add_argument("--json", action="store_true", help="print the result file")
        benchmarks.add_subcommand(name, benchmark)
        benchmark.prog = f"{parser.prog} {name}"
    return parser


def _parse(parser: ArgumentParser, arguments: list[str]) -> Namespace:
    """Returns what arguments say, with every plugin imported that they name."""
    _use_named(parser, arguments)
    parsed: Namespace = parser.instantiate(parser.parse_args(in_order(arguments)))
    return parsed


def _use_named(parser: ArgumentParser, arguments: list[str]) -> None:
    """Imports the plugins that are named; has the help end in the named core's own settings."""
    from agents.plugins import use_named

    use_named(arguments)
    show_core(parser, arguments)


def run_train(parser: ArgumentParser, arguments: list[str]) -> int:
    """Trains, or resumes; returns REQUEUE where a scheduler should go on."""
    _use_named(parser, arguments)
    parsed = parser.parse_args(in_order(arguments))  # before the imports, which --help needs not
    from agents.runs import TRAINING

    return run_training("run_atari.py", TRAINING, parser, parsed, arguments)


def run_sweep(parser: ArgumentParser, arguments: list[str]) -> int:
    """Works off a sweep; returns 1 where a run is not finished."""
    from sweep.plan import SweepConfig
    from sweep.sweep import sweep

    return 0 if sweep(fields_of(SweepConfig, _parse(parser, arguments))) else 1


def run_evaluate(parser: ArgumentParser, arguments: list[str]) -> None:
    """Evaluates and prints."""
    from agents.evaluation.board import show_score
    from agents.evaluation.display import evaluate_in_view
    from agents.evaluation.evaluate import EvaluationConfig
    from agents.evaluation.results import kept_checkpoints, save_result, summary
    from experiment.result_folder import result_folder
    from experiment.run import set_threads

    parsed = _parse(parser, arguments)
    config = fields_of(EvaluationConfig, parsed)
    set_threads(parsed.num_threads)
    sources = kept_checkpoints(parsed.source) if parsed.all else [parsed.source]
    folder = result_folder(sources[0], parsed.out)  # before hours are played for nothing
    results = []
    try:
        for source in sources:
            result = evaluate_in_view(source, config, sys.stderr if parsed.json else sys.stdout)
            results.append(result)
            if not parsed.json:
                print(summary(result), flush=True)
            path = save_result(folder, result, config)
            if parsed.out is None:
                show_score(source, result, config)
            if not parsed.json:
                print(f"written to {path}", flush=True)
    finally:  # what was played is printed, whatever befell the disk
        if parsed.json and results:
            print(json.dumps(results if parsed.all else results[0], indent=2))


def run_watch(parser: ArgumentParser, arguments: list[str]) -> None:
    """Films and prints where the film is."""
    from watch.config import WatchConfig

    parsed = _parse(parser, arguments)
    from watch.film import watch

    path = watch(parsed.source, fields_of(WatchConfig, parsed))
    print(f"written to {path}")


def run_compare(parser: ArgumentParser, arguments: list[str]) -> None:
    """Compares, writes the report and prints the answer."""
    parsed = _parse(parser, arguments)
    from comparison.compare import compare_and_write

    print(compare_and_write(parsed.folders, parsed.out, partial(print, flush=True)))


def run_check(parser: ArgumentParser, arguments: list[str]) -> int:
    """Checks, measures and prints; returns 1 where something is wrong."""
    from benchmarks import core_check
    from models.cores import refuse_unused

    if arguments and not arguments[0].startswith("-"):
        _use_named(parser, ["--core.kind", arguments[0]])
    parsed = _parse(parser, arguments)
    refuse_unused(parsed.kind, typed(arguments))
    core = replace(parsed.core, kind=parsed.kind)
    settings = core_check.Settings(core=core, input_size=parsed.input_size, rounds=parsed.rounds)
    return 0 if core_check.main(settings) else 1


def run_bench(parser: ArgumentParser, arguments: list[str]) -> None:
    """Measures, prints and writes the result file."""
    from agents.impala.config import TrainConfig
    from benchmarks import kernel_report, kernels, sequences, throughput, throughput_report

    benchmark = _parse(parser, arguments)
    name = benchmark.benchmark
    parsed = benchmark[name]
    if name == "kernels":
        kernel_report.main(fields_of(kernels.Settings, parsed), as_json=parsed.json)
    elif name == "sequences":
        sequences.main(fields_of(sequences.Settings, parsed), as_json=parsed.json)
    else:
        config = fields_of(TrainConfig, parsed)
        settings = fields_of(throughput.Settings, parsed)
        throughput_report.main(config, settings, as_json=parsed.json)


USAGE = """usage: run_atari.py COMMAND [--help]

  train      train an agent, or go on with a run
  sweep      train and evaluate every combination of games, cores, settings and seeds
  evaluate   play whole games with a saved policy
  watch      film games of a saved policy, with its memory beside the picture
  compare    a report on runs: scores, curves, speed and how sure they are
  check      is a core right for reinforcement learning, and what does it cost
  bench      measure this machine: kernels, the training loop, tasks with answers"""
COMMANDS: dict[str, Command] = {
    "train": (train_parser, run_train),
    "sweep": (sweep_parser, run_sweep),
    "evaluate": (evaluate_parser, run_evaluate),
    "watch": (watch_parser, run_watch),
    "compare": (compare_parser, run_compare),
    "check": (check_parser, run_check),
    "bench": (bench_parser, run_bench),
}


def _memory_settings() -> str:
    from agents.impala.trainer import Trainer

    return Trainer.memory_settings


main = CommandLine(
    prog="run_atari.py", usage=USAGE, commands=COMMANDS, memory_settings=_memory_settings
).main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
