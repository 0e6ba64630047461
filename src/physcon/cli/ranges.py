"""Settings with ranges: shown in the help of a command, and judged all at once."""

import dataclasses
from typing import Any

from jsonargparse import ArgumentParser, Namespace

from physcon.cli.settings import Settings, from_options
from physcon.studies import ranges


def judged(kind: type[Settings], options: Namespace) -> Settings:
    """Return the settings of a command, see `from_options`.

    Raises: ValueError for values out of their ranges, all of them in one sentence.
    """
    ranges.refuse(ranges.complaints(kind, _values(options)))
    return from_options(kind, options)


def show_ranges(parser: ArgumentParser, kind: type, prefix: str = "") -> None:
    """Add the range of every setting to its help text."""
    for field in dataclasses.fields(kind):
        name = f"{prefix}{field.name}"
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            show_ranges(parser, field.type, f"{name}.")
        allowed = field.metadata.get("range")
        for action in parser._actions if allowed is not None else ():
            if action.dest == name:
                action.help = f"{action.help or ''} [{allowed}]".lstrip()


def _values(options: Namespace | dict[str, Any]) -> dict[str, Any]:
    values = vars(options) if isinstance(options, Namespace) else options
    return {
        name: _values(value) if isinstance(value, Namespace | dict) else value
        for name, value in values.items()
    }
