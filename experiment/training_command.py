"""What `train` does in every program: a parser, and a run alone or in several processes."""

import logging
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jsonargparse import ArgumentParser, Namespace

from experiment.arguments import fields_of, typed
from experiment.bounds import refuse_below
from experiment.command_line import add_plugin

if TYPE_CHECKING:  # a parser must not wait for PyTorch
    from experiment.config import RunConfig
    from experiment.ranks import Ranks
    from experiment.session import SessionConfig
    from experiment.trainable import Trainable

logger = logging.getLogger(__name__)

REQUEUE = 143
"""The exit code of a process that SIGTERM ended: schedulers start it again."""


def run_parser(kind: type[Any], description: str) -> ArgumentParser:
    """Returns a parser of what begins a run or goes on with one: all settings, and the session."""
    from experiment.session import SessionConfig
    from experiment.settings import settings_parser

    parser = settings_parser(kind, description)
    parser.add_argument(
        "--resume",
        type=Path | None,
        default=None,
        help="run folder to go on with; settings given beside it change, where they may",
    )
    add_plugin(parser)
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


@dataclass(frozen=True, kw_only=True)
class Training:
    """How a program trains.

    Args:
        kind: what.
        train: (settings, session, ranks) -> the folder of a new run.
        score: folder -> a line that says how well the run did; None before there is a score.
        refuse: raises ValueError where the settings of a new run, or the names of the options that
            were typed, cannot be meant.
    """

    kind: "type[Trainable]"
    train: "Callable[[Any, SessionConfig, Ranks], Path]"
    score: Callable[[Path], str | None]
    refuse: Callable[[Any, set[str]], None]


def run_training(
    prog: str, training: Training, parser: ArgumentParser, parsed: Namespace, words: list[str]
) -> int:
    """Begins a run or goes on with one, alone or in several processes; returns the exit code.

    Args:
        prog: the program, for the processes that it starts.
        training: how it trains.
        parser: a `run_parser`.
        parsed: what it parsed.
        words: the command line.
    """
    from experiment.processes import train_in_processes
    from experiment.ranks import joined
    from experiment.resume import resume
    from experiment.session import SessionConfig
    from experiment.settings import given_values, plain_values
    from experiment.torchrun import is_rank

    session = fields_of(SessionConfig, parsed)
    refuse_below(parsed, 1, "processes")
    settings = training.kind.Config
    folder = parsed.resume
    if folder is None:
        config = fields_of(settings, parser.instantiate(parsed))
        training.refuse(config, typed(words))
        folder = begun_folder(config) if session.requeue else None
        given = plain_values(config) if folder is None else {}
    else:
        given = given_values(settings, parser, words)
    if parsed.processes > 1 and not is_rank():
        command = [prog, "train", *words]
        code, path = train_in_processes(training.kind, parsed.processes, folder, given, command)
        return exit_code(code, path, session.requeue)
    with joined() as ranks:
        begun = ranks.from_first(folder)  # which others may not see
        if begun != folder:
            given = {}
        folder = begun
        if folder is None:
            path = training.train(config, session, ranks)
        else:
            path = resume(training.kind, folder, session, given, ranks)
    if ranks.is_first:
        print(what_next(prog, path, training.score(path)))
    return 0 if is_rank() else exit_code(0, path, session.requeue)


def what_next(prog: str, path: Path, score: str | None) -> str:
    """Returns how a run did, its folder, and the command that follows, with its plugins."""
    from experiment.plugins import LOADED
    from experiment.run_dir import read_status

    is_finished = read_status(path)["status"] == "finished"
    command = ["evaluate", str(path)] if is_finished else ["train", "--resume", str(path)]
    for plugin in LOADED:
        command += ["--plugin", plugin]
    lines = [f"run folder: {path}", f"next: python {prog} {shlex.join(command)}"]
    return "\n".join([score, *lines] if score else lines)


def begun_folder(config: "RunConfig") -> Path | None:
    """Returns the named folder of a run where it holds one: a scheduler repeats its command."""
    if config.run_dir is None or not (Path(config.run_dir) / "config.yaml").exists():
        return None
    logger.warning("%s holds a run: it goes on with the settings in its config", config.run_dir)
    return Path(config.run_dir)


def exit_code(code: int, path: Path, requeue: bool) -> int:
    """Returns the exit code of a training: REQUEUE where a scheduler should go on.

    Args:
        code: 0, that of a failure, or 128 and the number of a signal that the run may have obeyed.
        path: the run folder.
        requeue: whether it is asked for.
    """
    from experiment.run_dir import status_word

    status = status_word(path)
    if 0 < code <= 128 or status not in ("finished", "stopped"):  # a signal killed what it met
        return code
    return REQUEUE if requeue and status == "stopped" else 0
