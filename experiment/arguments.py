"""From parsed command lines to the dataclasses that hold settings."""

import itertools
import re
from argparse import RawDescriptionHelpFormatter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import fields
from decimal import Decimal
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
    for word, following in itertools.pairwise([*arguments, ""]):
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


def in_order(arguments: Sequence[str]) -> list[str]:
    """Returns a command line with `--config` before its other options, as what comes later wins.

    Its numbers are plain.
    """
    words = iter(with_plain_numbers(arguments))
    others: list[str] = []
    config: list[str] = []
    for word in words:
        if word == "--config":
            config += [word, *itertools.islice(words, 1)]
        else:
            (config if word.startswith("--config=") else others).append(word)
    place = next((i for i, word in enumerate(others) if word.startswith("-")), len(others))
    return [*others[:place], *config, *others[place:]]


def with_plain_numbers(arguments: Sequence[str]) -> list[str]:
    """Returns a command line with whole numbers such as 6e6 written out, and inf as in YAML.

    Only in the values of options, and of the settings that some take: a folder may be called
    5934e21, or rdn-total_frames=3e6.
    """
    before = ("", *arguments)
    return [
        _NUMBER.sub(_plain_number, word) if _may_be_number(last, word) else word
        for last, word in zip(before, arguments, strict=False)
    ]


_TAKE_PATHS = ("--config", "--frames", "--init_from", "--out", "--plugin", "--resume", "--run_dir")
_SETTING = re.compile(r"[A-Za-z][\w.]*=")


def _may_be_number(last: str, word: str) -> bool:
    """Returns whether a word is the value of an option that takes no path, or holds a setting."""
    option = word.partition("=")[0] if word.startswith("--") else last
    if option in _TAKE_PATHS:
        return False
    return option.startswith("--") or _SETTING.match(word) is not None


_NUMBER = re.compile(r"(?<![^=])(\d+(?:\.\d+)?e\+?\d{1,2}|-?inf)$", re.IGNORECASE)


def _plain_number(found: re.Match[str]) -> str:
    word = found[0].lower()
    if "inf" in word:
        return word.replace("inf", ".inf")
    number = Decimal(word)
    return str(int(number)) if number == int(number) else word
