"""Settings of a command as frozen dataclasses."""

import argparse
import dataclasses
import re
from typing import Any, TypeVar, get_args, get_origin

from jsonargparse import ArgumentParser, DefaultHelpFormatter, Namespace

Settings = TypeVar("Settings")


def from_options(kind: type[Settings], options: Namespace) -> Settings:
    """Return a (nested) dataclass from the namespace that holds its fields."""
    values: dict[str, Any] = {}
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = options[f.name]
        nested: Any = f.type
        if isinstance(value, Namespace):
            value = from_options(nested, value)
        elif isinstance(value, dict):  # settings by name
            inner = get_args(nested)[1]
            value = {
                name: from_options(inner, part) if isinstance(part, Namespace) else part
                for name, part in value.items()
            }
        elif isinstance(value, list) and get_origin(nested) is tuple:
            value = tuple(value)  # a list in the presets of a settings file
        values[f.name] = value
    return kind(**values)


class Help(DefaultHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Help that keeps the lines of a description, so that examples stay readable."""

    def _expand_help(self, action: argparse.Action) -> str:
        """Call a path a path, not by its class."""
        return super()._expand_help(action).replace("<class 'Path'>", "path")


def accept_negative_numbers(parser: ArgumentParser) -> ArgumentParser:
    """Let ``--option -1e-3`` pass a negative number; show examples line by line.

    Python's parser does so for ``-0.001`` only, before version 3.14.
    """
    number = re.compile(r"^-(\d[\d_]*\.?\d*|\.\d+)([eE][-+]?\d+)?$|^-(inf|nan|\.inf)$")
    parser.formatter_class = Help
    parser._negative_number_matcher = number  # type: ignore[attr-defined]
    return parser


def with_one_list(arguments: list[str], option: str) -> list[str]:
    """Join the words after an option, as in ``--names.coordinates x y``, to one.

    A file that is named before the options is needed: otherwise the last word could be
    the file.
    """
    if option not in arguments or arguments.index(option) < 2:
        return arguments
    if arguments[1].startswith("-"):
        return arguments
    start = arguments.index(option) + 1
    stop = start
    while stop < len(arguments) and not arguments[stop].startswith("-"):
        stop += 1
    words = arguments[start:stop]
    if len(words) < 2:
        return arguments
    return [*arguments[:start], ",".join(words), *arguments[stop:]]
