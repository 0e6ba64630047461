"""Entries of laws in the types that their classes hold, whoever made them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from physcon._require import require, require_choice

Number = float | int
Names = Any  # a name or several, which become a tuple
Terms = Any  # names, dictionaries or terms, which become a tuple of terms
Weights = Any  # one name, or several, which become a tuple; or None
_TERMS = ("inflow", "outflow")
_NAMES = ("over", "water")
_NAME = ("of", "like", "storage", "time", "where", "lesser", "greater")
_BOUNDS = ("lower", "upper")
_KNOWN = ("equals", *_BOUNDS)
_POSITIVE = ("step", "radius", "gravity")


@dataclass(frozen=True)
class Term:
    """A variable in a sum.

    Attributes:
        of: name of the variable.
        times: coefficient.
        given: whether the variable is certain; its spread is then ignored.

    Raises:
        ValueError: an entry of a wrong type, or a coefficient that is not finite.
    """

    of: str
    times: Number = 1.0
    given: bool = False

    def __post_init__(self) -> None:
        """Check all entries."""
        of, given = self.of, self.given
        require(isinstance(of, str), "a name for 'of'", repr(of), "name it")
        expected = "true or false for 'given'"
        require(isinstance(given, bool), expected, repr(given), "correct it")
        times = _number("times", self.times, named=False)
        object.__setattr__(self, "times", times)


class Tidy:
    """Entries that are converted when they are given: names become tuples and terms.

    Raises:
        ValueError: an entry of a wrong type, or a number that is NaN.
    """

    def __post_init__(self) -> None:
        """Convert all entries."""
        several = (*_TERMS, "of") if type(self).__name__ == "Sum" else _TERMS
        kinds = get_type_hints(type(self))
        for each in fields(self):  # type: ignore[arg-type]
            value = getattr(self, each.name)
            _check_choice(each.name, value, kinds[each.name])
            object.__setattr__(self, each.name, _tidy(each.name, value, several))


def _check_choice(name: str, value: Any, kind: Any) -> None:
    """Raise for a value that is not among those that its type lists."""
    literals = [k for k in (kind, *get_args(kind)) if get_origin(k) is Literal]
    optional = type(None) in get_args(kind)
    if literals and not (optional and value is None):
        require_choice(value, literals[0], name)


def _tidy(name: str, value: Any, several: Sequence[str]) -> Any:
    """Return one entry in the type that its class expects."""
    if name in several:
        one = isinstance(value, str | Mapping | Term)
        good = one or isinstance(value, Sequence)
        require(good, f"terms for {name!r}", repr(value), "name variables")
        return tuple(_term(v) for v in ([value] if one else value))
    if name in _NAMES and value is not None:
        return (value,) if isinstance(value, str) else _names(name, value)
    if name == "weights" and value is not None:
        return value if isinstance(value, str) else _names(name, value)
    if name in _NAME:
        require(isinstance(value, str), f"a name for {name!r}", repr(value), "name it")
    if name in _KNOWN:
        return _number(name, value, named=True)
    if name in ("std", *_POSITIVE) and value is not None:
        value = _number(name, value, named=False)
        least = "a std >= 0" if name == "std" else f"a {name} > 0"
        good = value >= 0 if name == "std" else value > 0
        require(bool(good and np.isfinite(value)), least, value, "correct it")
    if name == "seed":
        _check_seed(value)
    return value


def _check_seed(value: Any) -> None:
    """Raise for a seed that is not an integer of zero or more."""
    good = isinstance(value, int | np.integer) and not isinstance(value, bool)
    expected = "a seed, an integer >= 0"
    require(good and bool(value >= 0), expected, repr(value), "correct it")


def _names(name: str, value: Any) -> tuple[str, ...]:
    """Return several names as a tuple."""
    several = isinstance(value, Sequence) and all(isinstance(v, str) for v in value)
    good = several and 0 < len(value) == len(set(value))
    require(good, f"one or several names for {name!r}", repr(value), "name them once")
    return tuple(value)


def _number(name: str, value: Any, named: bool) -> Any:
    """Return a number, or a name where one is possible; NaN is neither."""
    wanted = f"a number{' or a name' if named else ''} for {name!r}"
    if value is None:
        require(name in _BOUNDS, wanted, "None", "correct it")
        return None
    if isinstance(value, str):
        try:
            value = _read(value)
        except ValueError:
            require(named, f"a number for {name!r}", repr(value), "give a number")
            return value
    real = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    require(real and bool(value == value), wanted, repr(value), "correct it")
    require(
        name in _BOUNDS or bool(np.isfinite(value)), wanted, repr(value), "correct it"
    )
    return value if isinstance(value, int) else float(value)


def _read(text: str) -> float:
    """Return the number in a text; an underscore, as in 2e2_0, is not part of one."""
    return float(text.replace("_", "?"))


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
