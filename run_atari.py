"""The command line: train | evaluate | bench. Parses and calls; no logic."""

import sys
from argparse import ArgumentError
from pathlib import Path

from jsonargparse import ArgumentParser, Namespace


def _parser(description: str) -> ArgumentParser:
    return ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)


def train_parser() -> ArgumentParser:
    """Returns the parser of `train`."""
    from agents.impala.config import TrainConfig

    parser = _parser("Train an agent.")
    parser.add_argument("--config", action="config", help="YAML file of settings")
    parser.add_argument(
        "--resume", type=Path | None, default=None, help="run folder to continue, as it was set"
    )
    parser.add_argument(
        "--stop_after_updates",
        type=int | None,
        default=None,
        help="end after this many updates; schedules still follow total_frames",
    )
    parser.add_class_arguments(TrainConfig)
    return parser


def evaluate_parser() -> ArgumentParser:
    """Returns the parser of `evaluate`."""
    from agents.evaluation.evaluate import EvaluationConfig

    parser = ArgumentParser(
        description="Play whole games with a saved policy.", exit_on_error=False
    )
    parser.add_argument("source", type=Path, help="run folder, checkpoint or policy.pt")
    parser.add_class_arguments(EvaluationConfig)
    parser.add_argument("--json", action="store_true", help="print the result file's content")
    return parser


def bench_parser() -> ArgumentParser:
    """Returns the parser of `bench`, with a subcommand per benchmark."""
    from benchmarks.kernels import Settings

    kernels = _parser("Check and time every recurrence in every backend, side by side.")
    kernels.add_class_arguments(Settings, skip={"compiled", "quick"})
    kernels.add_argument(
        "--compiled", action="store_true", help="also the loop under torch.compile: minutes"
    )
    kernels.add_argument("--quick", action="store_true", help="tiny shapes, writes no file")
    kernels.add_argument("--json", action="store_true", help="print the result file's content")
    parser = _parser("Measure this machine.")
    parser.add_subcommands(dest="benchmark").add_subcommand("kernels", kernels)
    return parser


def run_train(parser: ArgumentParser, arguments: Namespace) -> None:
    """Trains, or resumes."""
    from agents.impala.config import TrainConfig
    from agents.impala.train import resume, train

    parsed = parser.instantiate(arguments)
    names = TrainConfig.__dataclass_fields__
    config = TrainConfig(**{name: parsed[name] for name in names})
    if parsed.resume is not None:
        if config != TrainConfig():
            raise ValueError("--resume takes the settings of its run folder; leave out the others")
        path = resume(parsed.resume, stop_after_updates=parsed.stop_after_updates)
    else:
        path = train(config, stop_after_updates=parsed.stop_after_updates)
    print(f"run folder: {path}")


def run_evaluate(parser: ArgumentParser, arguments: Namespace) -> None:
    """Evaluates and prints."""
    from agents.evaluation.evaluate import EvaluationConfig, evaluate_and_save, summary

    parsed = parser.instantiate(arguments)
    names = EvaluationConfig.__dataclass_fields__
    config = EvaluationConfig(**{name: parsed[name] for name in names})
    path, result = evaluate_and_save(parsed.source, config)
    print(path.read_text() if parsed.json else summary(result, path))


def run_bench(parser: ArgumentParser, arguments: Namespace) -> None:
    """Measures, prints and writes the result file."""
    from benchmarks import kernel_report, kernels

    parsed = parser.instantiate(arguments).kernels
    names = kernels.Settings.__dataclass_fields__
    settings = kernels.Settings(**{name: parsed[name] for name in names})
    kernel_report.main(settings, as_json=parsed.json)


COMMANDS = {
    "train": (train_parser, run_train),
    "evaluate": (evaluate_parser, run_evaluate),
    "bench": (bench_parser, run_bench),
}


def main(arguments: list[str]) -> int:
    """Runs one command; returns the exit code, 2 for what the user can mend."""
    if not arguments or arguments[0] not in COMMANDS:
        wants_help = bool(arguments) and arguments[0] in ("-h", "--help")
        print(f"usage: run_atari.py {'|'.join(COMMANDS)} [--help]", file=sys.stderr)
        return 0 if wants_help else 2
    make_parser, run = COMMANDS[arguments[0]]
    try:
        parser = make_parser()
        run(parser, parser.parse_args(arguments[1:]))
    except (ArgumentError, ValueError, OSError) as error:  # what a user can get wrong
        print(f"error: {one_line(error)}", file=sys.stderr)
        return 2
    return 0


def one_line(error: Exception) -> str:
    """Returns the message of an error without its line breaks."""
    return " ".join(str(error).split())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
