"""Entries of laws in the types that their classes hold, whoever made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from physcon._checks import require

Number = float | int
Names = Any  # a name or several, which become a tuple
Terms = Any  # names, dictionaries or terms, which become a tuple of terms
Weights = Any  # one name, or several, which become a tuple; or None
_TERMS = ("inflow", "outflow")
_NAMES = ("over", "water")
_NAME = ("of", "like", "storage", "time", "where", "lesser", "greater")
_KNOWN = ("equals", "lower", "upper")


@dataclass(frozen=True)
class Term:
    """A variable in a sum.

    Attributes:
        of: name of the variable.
        times: coefficient.
        given: whether the variable is certain; its spread is then ignored.
    """

    of: str
    times: Number = 1.0
    given: bool = False


class Tidy:
    """A law whose entries are converted when it is made: names become tuples and terms.

    Raises:
        ValueError: an entry of a wrong type, or a number that is NaN.
    """

    def __post_init__(self) -> None:
        """Convert all entries."""
        several = (*_TERMS, "of") if type(self).__name__ == "Sum" else _TERMS
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            object.__setattr__(self, each.name, _tidy(each.name, value, several))


def _tidy(name: str, value: Any, several: Sequence[str]) -> Any:
    """Return one entry in the type that its class expects."""
    if name in several:
        one = isinstance(value, str | Mapping | Term)
        return tuple(_term(v) for v in ([value] if one else value))
    if name in _NAMES and value is not None:
        return (value,) if isinstance(value, str) else tuple(map(str, value))
    if name == "weights" and value is not None:
        return value if isinstance(value, str) else tuple(map(str, value))
    if name in _NAME:
        require(isinstance(value, str), f"a name for {name!r}", repr(value), "name it")
    if name in _KNOWN:
        return _number(name, value, named=True)
    if name in ("std", "step") and value is not None:
        value = _number(name, value, named=False)
        least = "a std >= 0" if name == "std" else "a step > 0"
        good = value >= 0 if name == "std" else value > 0
        require(bool(good and np.isfinite(value)), least, value, "correct it")
    return value


def _number(name: str, value: Any, named: bool) -> Any:
    """Return a number, or a name where one is possible; NaN is neither."""
    if value is None:
        return None
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            require(named, f"a number for {name!r}", repr(value), "give a number")
            return value
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    wanted = f"a number{' or a name' if named else ''} for {name!r}"
    require(real and bool(value == value), wanted, repr(value), "correct it")
    bound = name in ("lower", "upper")
    require(bound or bool(np.isfinite(value)), wanted, repr(value), "correct it")
    return value if isinstance(value, int) else float(value)


def _term(value: Any) -> Term:
    """Return a term from a name or from a dictionary."""
    if isinstance(value, Term):
        return value
    if isinstance(value, str):
        return Term(value)
    known = {"of", "times", "given"}
    good = isinstance(value, Mapping) and "of" in value and set(value) <= known
    require(good, "a name or {of: name, times: 1.0}", repr(value), "correct the term")
    return Term(**value)
