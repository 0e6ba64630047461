"""Ranges of settings, declared with each field and checked before anything starts.

A settings class writes ``steps: int = setting(100, at_least=1)`` and calls `judge` in
its ``__post_init__``. `complaints` checks values that do not have a class yet, so that
a command can name all wrong settings at once.
"""

import dataclasses
import math
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple, get_args


class Range(NamedTuple):
    """The values that a number, or every entry of a tuple of numbers, may take."""

    at_least: float | None = None
    above: float | None = None
    at_most: float | None = None
    below: float | None = None
    entries: int | None = None
    unique: bool = False

    def __str__(self) -> str:
        """The range in words, for help texts and messages."""
        limits = [
            f"{words} {value}"
            for words, value in (
                ("at least", self.at_least),
                ("above", self.above),
                ("at most", self.at_most),
                ("below", self.below),
            )
            if value is not None
        ]
        if self.entries is not None:
            plural = "entry" if self.entries == 1 else "entries"
            limits.append(f"at least {self.entries} {plural}")
        if self.unique:
            limits.append("no entry twice")
        return ", ".join(limits) or "a finite number"

    def holds(self, value: Any) -> bool:
        """Whether `value` lies in the range; None means that nothing is set."""
        if value is None:
            return True
        if isinstance(value, tuple | list):
            repeated = self.unique and len(set(value)) < len(value)
            few = self.entries is not None and len(value) < self.entries
            return not (repeated or few) and all(map(self.holds, value))
        if isinstance(value, str | bool):
            return True
        return (
            (isinstance(value, int) or math.isfinite(value))
            and (self.at_least is None or value >= self.at_least)
            and (self.above is None or value > self.above)
            and (self.at_most is None or value <= self.at_most)
            and (self.below is None or value < self.below)
        )


def setting(default: Any, **limits: Any) -> Any:
    """A dataclass field with a default and the limits of a `Range`."""
    return dataclasses.field(default=default, metadata={"range": Range(**limits)})


def seed() -> Any:
    """A dataclass field for a seed: JAX's keys hold 32 bits of it."""
    return setting(0, at_least=0, below=2**32)


def judge(settings: Any) -> None:
    """Raise ValueError unless every field of `settings` lies in its range."""
    values = {f.name: getattr(settings, f.name) for f in dataclasses.fields(settings)}
    refuse(complaints(type(settings), values))


def refuse(found: Iterator[str]) -> None:
    """Raise ValueError with all complaints in one sentence, if there are any."""
    wrong = list(found)
    if wrong:
        raise ValueError(
            f"expected settings within their ranges, got {'; '.join(wrong)}; "
            "change them on the command line or in the settings file"
        )


def complaints(
    kind: type, values: Mapping[str, Any], prefix: str = ""
) -> Iterator[str]:
    """Yield a clause for every value outside its range.

    Args:
        kind: the settings class, whose fields may be settings classes themselves.
        values: the values by field name; the value of a nested class is a mapping or an
            instance.
        prefix: text put before every name.
    """
    for field in dataclasses.fields(kind):
        value = values[field.name]
        if isinstance(field.type, type) and dataclasses.is_dataclass(field.type):
            if isinstance(value, Mapping):
                yield from complaints(field.type, value, f"{prefix}{field.name}.")
            elif not isinstance(value, field.type):
                yield f"{prefix}{field.name} = {value!r} (settings by name)"
            continue
        if isinstance(value, Mapping):  # settings by name
            inner = get_args(field.type)[1]
            for name, part in value.items():
                if isinstance(part, Mapping):
                    start = f"{prefix}{field.name}.{name}."
                    yield from complaints(inner, part, start)
            continue
        allowed = field.metadata.get("range", Range())
        if value is None and not _may_be_none(field.type):
            yield f"{prefix}{field.name} without a value"
        elif not allowed.holds(value):
            yield f"{prefix}{field.name} = {value} ({allowed})"


def _may_be_none(kind: Any) -> bool:
    """Whether a type is ``... | None``, or not known in detail."""
    return kind is Any or type(None) in get_args(kind)


def divides(settings: Any, part: str, whole: str) -> None:
    """Raise ValueError unless one setting divides another without a remainder."""
    number = getattr(settings, part)
    of = getattr(settings, whole)
    if of % number:
        fitting = [n for n in range(1, of + 1) if of % n == 0]
        near = min(fitting, key=lambda n: abs(n - number))
        raise ValueError(
            f"expected {part} to divide {whole} = {of}, got {part} = {number}; "
            f"set {part} to {near}, or change {whole}"
        )
