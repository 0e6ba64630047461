"""A parser of options that suggests the right name for a misspelt one."""

import difflib
import re
from collections.abc import Iterable, Mapping
from typing import Any, NoReturn

from jsonargparse import ArgumentParser


class SuggestingParser(ArgumentParser):
    """`jsonargparse.ArgumentParser` whose errors end with a close name, if any."""

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        hint = suggestion(message, _options_of(self))
        super().error(f"{message}{hint}", ex)


def _options_of(parser: Any) -> set[str]:
    """Return the options of a parser, and of its commands."""
    known: set[str] = set()
    for action in parser._actions:
        known.update(action.option_strings)
        if isinstance(action.choices, Mapping):
            for command in action.choices.values():
                known |= _options_of(command)
    return known


def suggestion(message: str, options: Iterable[str]) -> str:
    """``"; did you mean ...?"`` for a message of argparse about an unknown name.

    Args:
        message: of the parser.
        options: known options, with their dashes.

    >>> suggestion("unrecognized arguments: --sed 3", ["--seed", "--output"])
    '; did you mean --seed?'
    """
    wrong = re.search(r"unrecognized arguments: (--[\w.-]+)", message)
    if wrong:
        return did_you_mean(wrong[1], options)
    wrong = re.search(r"does not accept (?:option|nested key) '([\w.-]+)'", message)
    if wrong:
        return did_you_mean(wrong[1], (option.lstrip("-") for option in options))
    wrong = re.search(r"Literal\[(.*)\]\. Got value: (\S+)", message)
    wrong = wrong or re.search(r"one of \{(.*)\}.*[Gg]ot value:? (\S+)", message)
    if wrong:
        return did_you_mean(wrong[2], re.findall(r"[\w-]+", wrong[1]))
    wrong = re.search(r"invalid choice: '([^']*)' \(choose from (.*)\)", message)
    if wrong:
        return did_you_mean(wrong[1], re.findall(r"[\w.-]+", wrong[2]))
    return ""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``"; did you mean ...?"`` with the closest known word, or ""."""
    close = difflib.get_close_matches(word, list(known), 1)
    return f"; did you mean {close[0]}?" if close else ""
