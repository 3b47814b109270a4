"""What the command lines share: choosing a command, and one line for what a user can mend."""

import gc
import signal
import sys
from argparse import ArgumentError
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from jsonargparse import ArgumentParser

from experiment.arguments import show_below, typed_values
from experiment.complaints import close_hint, explained
from experiment.stop_signals import ERASE, interrupts

Command = tuple[Callable[[], ArgumentParser], Callable[[ArgumentParser, list[str]], int | None]]
"""Makes the parser, and runs what it parsed; returns an exit code, None for 0."""


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """One program of several commands.

    Args:
        prog: its name.
        usage: what is printed for --help.
        commands: by name.
        memory_settings: returns which settings decide how much memory is held, in words.
    """

    prog: str
    usage: str
    commands: Mapping[str, Command]
    memory_settings: Callable[[], str]

    def main(self, arguments: list[str]) -> int:
        """Runs one command; returns the exit code, 2 for what a user can mend, 128 + a signal's."""
        if arguments and arguments[0] in ("-h", "--help"):
            print(self.usage)
            return 0
        if not arguments or arguments[0] not in self.commands:
            given = repr(arguments[0]) if arguments else "none"
            hint = close_hint(arguments[0], self.commands) if arguments else ""
            return _mistake(f"want a command ({', '.join(self.commands)}), got {given}{hint}")
        parser = self._parser(arguments[0])
        try:
            with interrupts():
                return self._run(parser, arguments)
        except KeyboardInterrupt as error:
            number = signal.Signals(*error.args)
            print(f"interrupted by {number.name}", file=sys.stderr)
            return 128 + number

    def _parser(self, command: str) -> ArgumentParser:
        """Returns the parser of a command, with PyTorch loaded."""
        on_terminal(f"{command}: loading PyTorch ...")
        gc.disable()  # imports make objects by the hundred thousand, and all of them stay:
        import experiment.failure  # noqa: F401  what _run needs

        parser = self.commands[command][0]()
        on_terminal("")
        gc.freeze()  # no collection need ever look through them
        gc.enable()
        parser.prog = f"{self.prog} {command}"
        return parser

    def _run(self, parser: ArgumentParser, arguments: list[str]) -> int:
        """Runs one command, and says in one line what the user can mend; returns the exit code."""
        from experiment.failure import RunFailed, cause, out_of_memory
        from experiment.ranks import EndedElsewhere, RankLost

        try:
            return self.commands[arguments[0]][1](parser, arguments[1:]) or 0
        except ArgumentError as error:
            return _mistake(explained(_one_line(error), parser, arguments))
        except (ValueError, OSError) as error:  # what a user can get wrong
            return _mistake(_one_line(error))
        except EndedElsewhere as error:
            return int(error.args[0])
        except (RunFailed, RankLost) as error:
            return _mistake(_one_line(error), 1)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            is_training = arguments[0] == "train"
            return _mistake(cause(error, self.memory_settings() if is_training else ""), 1)


def _mistake(text: str, code: int = 2) -> int:
    """Says what went wrong; returns the exit code."""
    print(f"error: {text}", file=sys.stderr)
    return code


def _one_line(error: Exception) -> str:
    """Returns the message of an error without its line breaks."""
    return " ".join(str(error).split())


def on_terminal(text: str) -> None:
    """Shows on a terminal what a command waits for; what is written next takes its place."""
    if sys.stderr.isatty():
        sys.stderr.write(f"{ERASE}{text}")
        sys.stderr.flush()


def plain_parser(description: str) -> ArgumentParser:
    """Returns a parser of no options, whose mistakes `CommandLine` explains."""
    return ArgumentParser(description=description, exit_on_error=False, allow_abbrev=False)


def add_plugin(parser: ArgumentParser) -> None:
    """Adds `--plugin`."""
    parser.add_argument(
        "--plugin",
        action="append",
        default=[],
        metavar="FILE.py:NAME",
        help="import your own environment or core, which a saved run or a config file names",
    )


def show_core(parser: ArgumentParser, arguments: list[str]) -> None:
    """Has the help of a parser end in the own settings of the core that a command line names."""
    from models.cores import core_spec

    for kind in typed_values(arguments, {"core.kind"}):
        if (own := core_spec(kind).args) is not None:
            show_below(parser, own, "core.args")
