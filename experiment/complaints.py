"""What a parser complains of, in the words of the user: what was given, what would be right."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from difflib import get_close_matches

from jsonargparse import ArgumentParser

from experiment.arguments import typed_values

MEANT = {"gpu": "cuda", "lr": "learning_rate"}  # what people call what is spelt otherwise
KINDS = {"int": "a whole number", "float": "a number", "bool": "true or false"}


def explained(message: str, parser: ArgumentParser, arguments: Sequence[str]) -> str:
    """Returns a parser's complaint, with what is accepted and the names that are close."""
    known = [str(name) for name, _ in parser.get_defaults().items()]
    for pattern, answer in _ANSWERS.items():
        if found := re.search(pattern, message):
            return answer(found, known, arguments)
    return message


def close_hint(given: str, known: Collection[str], most: int = 1) -> str:
    """Returns "; close: ..." with the names spelt like what was given, or nothing."""
    spelt = {name.lower(): name for name in known}
    given = MEANT.get(given.lower(), given.lower())
    close = get_close_matches(given, spelt, n=most)
    return f"; close: {', '.join(spelt[name] for name in close)}" if close else ""


def _unknown(found: re.Match[str], known: Sequence[str], arguments: Sequence[str]) -> str:
    """Offers names of the same group whose last word is spelt alike."""
    group, name = found["group"] or "", found["name"].rpartition(".")[2]
    last_word = {k: k.rpartition(".")[2] for k in known if k.startswith(group)}
    close = get_close_matches(MEANT.get(name, name), last_word.values(), n=3)
    offered = [k for k in last_word if last_word[k] in close]
    message = found.string + (f"; close: {', '.join(offered)}" if offered else "; see --help")
    return message if message.startswith("unrecognized") else _in_file(message, arguments)


def _group(found: re.Match[str], known: Sequence[str], arguments: Sequence[str]) -> str:
    group, given = found["group"], found["given"]
    instead = f"{group}.kind" if f"{group}.kind" in known else "game" if group == "env" else None
    hint = f"; want --{instead} {given}" if instead else ""
    return f"{group} holds settings by name, such as {_first(group, known)}, got {given!r}{hint}"


def _first(group: str, known: Sequence[str]) -> str:
    return next(name for name in known if name.startswith(f"{group}."))


def _of_type(found: re.Match[str], known: Sequence[str], arguments: Sequence[str]) -> str:
    return f"{found['name']} must be {KINDS[found['type']]}, got {found['given']}"


def _of_choices(found: re.Match[str], known: Sequence[str], arguments: Sequence[str]) -> str:
    choices = [choice.strip(" '") for choice in found["choices"].split(",")]
    hint = close_hint(found["given"], choices)
    return f"{found['name']} must be one of {', '.join(choices)}, got {found['given']}{hint}"


def _broken(found: re.Match[str], known: Sequence[str], arguments: Sequence[str]) -> str:
    return _in_file(found.string.replace(' in "<unicode string>"', ""), arguments)


def _in_file(message: str, arguments: Sequence[str]) -> str:
    files = list(typed_values(arguments, {"config"}))
    return f"{message} (in {' or '.join(files)})" if files else message


_CHOICE = r"argument (?P<name>\w+): invalid choice: '(?P<given>.*)' \(choose from (?P<choices>.*)\)"
_KEY = r'Parser key "(?P<name>[\w.]+)": Expected a '
_ANSWERS: Mapping[str, Callable[[re.Match[str], Sequence[str], Sequence[str]], str]] = {
    r"unrecognized arguments: --(?P<group>)(?P<name>[\w.]+)": _unknown,
    r"Group '(?P<group>[\w.]+)' does not accept option '(?P<name>[\w.]+)'": _unknown,
    r"[Oo]ption '(?P<group>)(?P<name>[\w.]+)'": _unknown,
    r"Parser key \"(?P<group>\w+)\": Unable to load config '(?P<given>[^']*)'": _group,
    rf"{_KEY}<class '(?P<type>int|float|bool)'>. Got value: (?P<given>.*)": _of_type,
    rf"{_KEY}typing.Literal\[(?P<choices>[^]]*)\]. Got value: (?P<given>.*)": _of_choices,
    _CHOICE: _of_choices,
    r"Problems parsing config": _broken,
}
