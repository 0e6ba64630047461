"""The error that states what was expected, what was given, and the remedy.

This module needs no JAX: commands that work on files in NumPy start without it.
"""

from typing import Any, get_args

#: What NumPy or JAX would turn into real numbers, or parts of them, without a word.
NO_REAL_NUMBERS = {
    "m": "durations",
    "M": "dates",
    "O": "objects",
    "S": "text",
    "U": "text",
    "T": "text",
    "c": "complex numbers",
}


def require(holds: bool, expected: str, got: object, remedy: str) -> None:
    """Raise `ValueError("expected ..., got ...; remedy")` unless `holds`."""
    if not holds:
        raise ValueError(f"expected {expected}, got {got}; {remedy}")


def require_choice(value: object, kind: Any, name: str) -> None:
    """Raise ValueError unless `value` is one of the texts of a type Literal."""
    *others, last = map(repr, get_args(kind))
    good = isinstance(value, str) and value in get_args(kind)
    expected = f"{name}: {', '.join(others)} or {last}"
    require(good, expected, repr(value), f"correct {name!r}")
