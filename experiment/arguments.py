"""From parsed command lines to the dataclasses that hold settings."""

import itertools
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from difflib import get_close_matches
from typing import TypeVar

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

Settings = TypeVar("Settings")


def fields_of(kind: type[Settings], parsed: Namespace) -> Settings:
    """Returns a dataclass made from the parsed arguments of its fields' names."""
    return kind(**{field.name: parsed[field.name] for field in fields(kind)})  # type: ignore[arg-type]


def typed(arguments: list[str]) -> set[str]:
    """Returns the names of the options on a command line, as "learner.learning_rate"."""
    return {word[2:].partition("=")[0] for word in arguments if word.startswith("--")}


def typed_values(arguments: Sequence[str], names: Collection[str]) -> Iterator[str]:
    """Yields what a command line itself says for options, as `--game X` and `--game=X`."""
    for word, following in zip(arguments, [*arguments[1:], ""], strict=True):
        name, equals, value = word[2:].partition("=")
        if word.startswith("--") and name in names:
            yield value if equals else following


class _Help(RawDescriptionHelpFormatter, DefaultHelpFormatter):
    """Leaves the lines of what stands below the options as they are."""


def show_below(parser: ArgumentParser, settings: type[object], prefix: str) -> None:
    """Has the help of a parser end in the fields of a dataclass, by their full names.

    Args:
        parser: of which the help is.
        settings: the dataclass.
        prefix: of the names, such as "core.args".
    """
    own = ArgumentParser(add_help=False)
    own.add_class_arguments(settings, prefix)
    _, _, options = own.format_help().partition("\n\n")
    parser.epilog = (parser.epilog or "") + options
    parser.formatter_class = _Help


def config_first(arguments: Sequence[str]) -> list[str]:
    """Returns a command line with `--config` before its other options: what comes later wins."""
    words = iter(arguments)
    others: list[str] = []
    config: list[str] = []
    for word in words:
        if word == "--config":
            config += [word, *itertools.islice(words, 1)]
        else:
            (config if word.startswith("--config=") else others).append(word)
    place = next((i for i, word in enumerate(others) if word.startswith("-")), len(others))
    return [*others[:place], *config, *others[place:]]


def with_close_names(message: str, parser: ArgumentParser) -> str:
    """Returns a parser's complaint; one about an unknown name with the names spelt like it."""
    unknown = re.search(r"(?:unrecognized arguments: --|[Oo]ption ')([\w.]+)", message)
    if unknown is None:
        return message
    known = [str(name) for name, _ in parser.get_defaults().items()]
    last_word = {name: name.rpartition(".")[2] for name in known}
    close = get_close_matches(unknown[1].rpartition(".")[2], last_word.values(), n=3)
    spelt_like_it = [name for name, word in last_word.items() if word in close]
    return f"{message}; close: {', '.join(spelt_like_it)}" if close else f"{message}; see --help"
