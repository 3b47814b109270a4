"""The command line: train, sweep, evaluate, watch, compare, check, bench. No logic."""

import gc
import json
import os
import signal
import sys
from argparse import ArgumentError
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace

from experiment.arguments import fields_of, in_order, show_below, typed, typed_values
from experiment.complaints import close_hint, explained
from experiment.stop_signals import interrupts

REQUEUE = 143  # the exit code of a process that SIGTERM ended: schedulers start it again


def _parser(description: str) -> ArgumentParser:
    return ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)


def _add_plugin(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py:NAME",
        help="import your own environment or core, which a saved run or a config file names",
    )


def _add_greedy(parser: ArgumentParser) -> None:
    parser.add_argument(
        "--greedy", action="store_true", help="take the likeliest action instead of sampling"
    )


def train_parser() -> ArgumentParser:
    """Returns the parser of `train`."""
    from agents.impala.config import TrainConfig
    from experiment.session import SessionConfig
    from experiment.settings import settings_parser

    parser = settings_parser(TrainConfig, "Train an agent.")
    parser.add_argument(
        "--resume",
        type=Path | None,
        default=None,
        help="run folder to go on with; settings given beside it change, where they may",
    )
    _add_plugin(parser)
    parser.add_argument(
        "--processes",
        type=int,
        default=1,
        help="train in so many processes of this machine, which share the batch; torchrun does it "
        "on several machines (docs/parallel.md)",
    )
    parser.add_class_arguments(SessionConfig, skip={"requeue"})
    parser.add_argument(
        "--requeue",
        action="store_true",
        help=f"for a scheduler: exit with {REQUEUE} where the session ends before its run, "
        "and go on where --run_dir holds a run",
    )
    return parser


def sweep_parser() -> ArgumentParser:
    """Returns the parser of `sweep`."""
    from sweep.plan import SweepConfig

    parser = _parser("Train and evaluate every combination of games, cores, settings and seeds.")
    parser.add_class_arguments(SweepConfig, skip={"vary", "set", "print"})
    parser.add_argument(
        "--print", action="store_true", help="one shell command a line of what is left; run nothing"
    )
    _add_plugin(parser)
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
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # torch's threads sleep while games step
    from agents.evaluation.evaluate import EvaluationConfig

    parser = _parser("Play whole games with a saved policy.")
    parser.add_argument("source", type=Path, help="run folder, checkpoint or policy.safetensors")
    parser.add_class_arguments(EvaluationConfig, skip={"greedy"})
    _add_greedy(parser)
    _add_plugin(parser)
    parser.add_argument(
        "--num_threads", type=int, default=0, help="threads of the policy; 0 is torch's own choice"
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
    from watch.film import WatchConfig

    parser = _parser("Film games of a saved policy, with its memory beside the picture.")
    parser.add_argument("source", type=Path, help="run folder, checkpoint or policy.safetensors")
    parser.add_class_arguments(WatchConfig, skip={"greedy", "board"})
    _add_greedy(parser)
    parser.add_argument(
        "--board", action="store_true", help="a .gif, shown in the run's TensorBoard too"
    )
    _add_plugin(parser)
    return parser


def compare_parser() -> ArgumentParser:
    """Returns the parser of `compare`."""
    parser = _parser("Compare runs: a report of scores, curves, speed and how sure they are.")
    parser.add_argument(
        "folders", type=Path, nargs="+", help="run folders, or folders that hold them"
    )
    parser.add_argument("--out", type=Path, default=Path("report"), help="folder of the report")
    return parser


def check_parser() -> ArgumentParser:
    """Returns the parser of `check`."""
    from benchmarks.core_check import Settings
    from models.cores import CoreConfig

    parser = _parser("Check that a core is right for reinforcement learning, and measure it.")
    parser.add_argument("kind", help="a built-in core, or FILE.py:CLASS of your own")
    parser.add_class_arguments(Settings, skip={"core"})
    parser.add_class_arguments(CoreConfig, "core", skip={"kind", "bptt"})
    return parser


def bench_parser() -> ArgumentParser:
    """Returns the parser of `bench`, with a subcommand per benchmark."""
    from agents.impala.config import TrainConfig
    from benchmarks import kernels, throughput
    from benchmarks.kernel_cases import OPS

    parser = _parser("Measure this machine.")
    parser.prog = "run_atari.py bench"
    benchmarks = parser.add_subcommands(dest="benchmark")
    kernel_parser = _parser("Check and time every recurrence in every backend, side by side.")
    kernel_parser.add_class_arguments(kernels.Settings, skip={"compiled", "quick", "ops"})
    kernel_parser.add_argument(
        "--ops", type=str, nargs="+", default=list(OPS), help="recurrences to time"
    )
    kernel_parser.add_argument(
        "--compiled", action="store_true", help="also the loop under torch.compile: minutes"
    )
    kernel_parser.add_argument("--quick", action="store_true", help="tiny shapes, writes no file")
    loop_parser = _parser("Time the training loop, its parts, and a plain loop, side by side.")
    loop_parser.add_argument("--config", action="config", help="YAML file of training settings")
    loop_parser.add_class_arguments(throughput.Settings, skip={"peers"})
    loop_parser.add_argument(
        "--peers", action="store_true", help="also Stable-Baselines3's RecurrentPPO (extra: peers)"
    )
    loop_parser.add_class_arguments(TrainConfig)
    for name, benchmark in (("kernels", kernel_parser), ("throughput", loop_parser)):
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
    from models.cores import core_spec

    use_named(arguments)
    for kind in typed_values(arguments, {"core.kind"}):
        if (own := core_spec(kind).args) is not None:
            show_below(parser, own, "core.args")


def run_train(parser: ArgumentParser, arguments: list[str]) -> int:
    """Trains, or resumes; returns REQUEUE where a scheduler should go on."""
    _use_named(parser, arguments)
    parsed = parser.parse_args(in_order(arguments))  # before the imports, which --help needs not
    from agents.impala.config import TrainConfig
    from agents.runs import (
        begun_folder,
        refuse_unnamed,
        resume,
        train,
        train_in_processes,
        what_next,
    )
    from experiment.ranks import joined
    from experiment.session import SessionConfig
    from experiment.settings import given_values, plain_values
    from experiment.torchrun import is_rank
    from models.cores import refuse_unused

    session = fields_of(SessionConfig, parsed)
    if parsed.processes < 1:
        raise ValueError(f"processes must be at least 1, got {parsed.processes}")
    folder = parsed.resume
    if folder is None:
        config = fields_of(TrainConfig, parser.instantiate(parsed))
        refuse_unused(config.core.kind, typed(arguments))
        refuse_unnamed(config, typed(arguments))
        folder = begun_folder(config) if session.requeue else None
        given = plain_values(config) if folder is None else {}
    else:
        given = given_values(TrainConfig, parser, arguments)
    if parsed.processes > 1 and not is_rank():
        words = ["train", *arguments]
        code, path = train_in_processes(parsed.processes, folder, given, words)
        return exit_code(code, path, session.requeue)
    with joined() as ranks:
        folder = ranks.from_first(folder)  # which others may see only once it is begun
        if folder is None:
            path = train(config, session, ranks=ranks)
        else:
            path = resume(folder, session, given, ranks)
    if ranks.is_first:
        print(what_next(path))
    return 0 if is_rank() else exit_code(0, path, session.requeue)


def exit_code(code: int, path: Path, requeue: bool) -> int:
    """Returns the exit code of a training: REQUEUE where a scheduler should go on.

    Args:
        code: 0, that of a failure, or 128 and the number of a signal that the run may have obeyed.
        path: the run folder.
        requeue: whether it is asked for.
    """
    from experiment.run_dir import read_status

    if 0 < code <= 128 or not (path / "status.json").exists():
        return code
    return REQUEUE if requeue and read_status(path)["status"] == "stopped" else 0


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
    from agents.evaluation.results import kept_checkpoints, result_folder, save_result, summary
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
                show_score(source, result)
            if not parsed.json:
                print(f"written to {path}", flush=True)
    finally:  # what was played is printed, whatever befell the disk
        if parsed.json and results:
            print(json.dumps(results if parsed.all else results[0], indent=2))


def run_watch(parser: ArgumentParser, arguments: list[str]) -> None:
    """Films and prints where the film is."""
    from watch.film import WatchConfig, watch

    parsed = _parse(parser, arguments)
    path = watch(parsed.source, fields_of(WatchConfig, parsed))
    print(f"written to {path}")


def run_compare(parser: ArgumentParser, arguments: list[str]) -> None:
    """Compares, writes the report and prints the answer."""
    parsed = _parse(parser, arguments)
    on_terminal("reading runs ...")
    from comparison.compare import compare_and_write

    answer = compare_and_write(parsed.folders, parsed.out)
    on_terminal("")
    print(answer)


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
    from benchmarks import kernel_report, kernels, throughput, throughput_report

    benchmark = _parse(parser, arguments)
    name = benchmark.benchmark
    parsed = benchmark[name]
    if name == "kernels":
        kernel_report.main(fields_of(kernels.Settings, parsed), as_json=parsed.json)
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
  bench      measure this machine: kernels, or the training loop"""
COMMANDS: dict[str, tuple[Callable[[], ArgumentParser], Callable[..., int | None]]] = {
    "train": (train_parser, run_train),
    "sweep": (sweep_parser, run_sweep),
    "evaluate": (evaluate_parser, run_evaluate),
    "watch": (watch_parser, run_watch),
    "compare": (compare_parser, run_compare),
    "check": (check_parser, run_check),
    "bench": (bench_parser, run_bench),
}


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code, 2 for what the user can mend, 128 + a signal's."""
    try:
        with interrupts():
            return run_command(arguments)
    except KeyboardInterrupt as error:
        number = signal.Signals(*error.args)
        print(f"interrupted by {number.name}", file=sys.stderr)
        return 128 + number


def on_terminal(text: str) -> None:
    """Shows on a terminal what a command waits for; what is written next takes its place."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\x1b[K{text}")
        sys.stderr.flush()


def run_command(arguments: list[str]) -> int:
    """Runs one command, and says in one line what the user can mend; returns the exit code."""
    if arguments and arguments[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if not arguments or arguments[0] not in COMMANDS:
        given = repr(arguments[0]) if arguments else "none"
        hint = close_hint(arguments[0], COMMANDS) if arguments else ""
        print(f"error: want a command ({', '.join(COMMANDS)}), got {given}{hint}", file=sys.stderr)
        return 2
    on_terminal(f"{arguments[0]}: loading PyTorch ...")
    gc.disable()  # imports make objects by the hundred thousand, and all of them stay:
    from experiment.failure import RunFailed, cause, out_of_memory
    from experiment.ranks import EndedElsewhere, RankLost

    make_parser, run = COMMANDS[arguments[0]]
    parser = make_parser()
    on_terminal("")
    gc.freeze()  # no collection need ever look through them
    gc.enable()
    parser.prog = f"run_atari.py {arguments[0]}"
    try:
        return run(parser, arguments[1:]) or 0
    except ArgumentError as error:
        print(f"error: {explained(one_line(error), parser, arguments)}", file=sys.stderr)
        return 2
    except (ValueError, OSError) as error:  # what a user can get wrong
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    except EndedElsewhere as error:
        return int(error.args[0])
    except (RunFailed, RankLost) as error:
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 1
    except (MemoryError, RuntimeError) as error:
        if not out_of_memory(error):
            raise
        from agents.impala.trainer import Trainer

        print(f"error: {cause(error, Trainer.memory_settings)}", file=sys.stderr)
        return 1


def one_line(error: Exception) -> str:
    """Returns the message of an error without its line breaks."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
