"""Settings of a command as frozen dataclasses."""

import dataclasses
from typing import Any, TypeVar

from jsonargparse import Namespace

Settings = TypeVar("Settings")


def from_options(kind: type[Settings], options: Namespace) -> Settings:
    """A (nested) dataclass from the namespace of jsonargparse that holds its fields."""
    values: dict[str, Any] = {}
    for f in dataclasses.fields(kind):  # type: ignore[arg-type]
        value = options[f.name]
        nested: Any = f.type
        values[f.name] = (
            from_options(nested, value) if isinstance(value, Namespace) else value
        )
    return kind(**values)
