"""How uncertain each variable is: the metric in which a correction is the least."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._axes import is_member
from physcon.datasets._laws import Laws, Values, names_of
from physcon.datasets._metrics import metric
from physcon.datasets._months import by_month

with needs("data"):
    import xarray as xr

METRICS = ("uniform", "proportional", "thickness", "residual")
REMEDY = (
    "say how uncertain it is (spread: 10%, 0.5, the name of a variable, "
    "{ensemble: member}), or name a metric: uniform, proportional or thickness "
    "(--spread on the command line)"
)


def spreads(data: Any, laws: Laws, names: list[str]) -> dict[str, Any]:
    """Return the standard deviation of every variable, as a DataArray of its dims.

    Variables without an entry are certain, if others have one.
    """
    given = entries_of(laws)
    fixed = certain_names(laws)
    found: dict[str, Any] = {}
    for name in names:
        zero = xr.zeros_like(_plain(data[name]))
        if name in given and name not in fixed:
            std = _spread(data, name, given[name], laws)
            std = std.broadcast_like(zero).transpose(*zero.dims)
            bad = int((std < 0).sum())
            require(bad == 0, f"a spread >= 0 of {name!r}", f"{bad} < 0", "correct it")
            known = std.where(~np.isnan(_plain(data[name])), 0.0)
            bad = int((~np.isfinite(known)).sum())
            require(
                bad == 0,
                f"a spread of {name!r} at every point with a value",
                f"{bad} NaN or infinite",
                "fill it, by zero where the value is certain",
            )
            zero = known
        found[name] = zero
    return found


def entries_of(laws: Laws) -> dict[str, Any]:
    """Return the spread of each variable as it was given, by name.

    Raises:
        ValueError: a name that no law can change, or no spread at all.
    """
    given = laws.spread
    if (
        isinstance(given, Mapping)
        and set(given) <= {"ensemble", "metric", "std"}
        and given
    ):
        given = _for_all(laws, given)
    elif not isinstance(given, Mapping):
        require(given is not None, "a spread", "none", REMEDY)
        given = _for_all(laws, given)
    changeable = [n for law in laws.laws for n in names_of(law)]
    for name in given:
        require(
            name in changeable,
            f"a spread of the variables {sorted(set(changeable))}",
            repr(name),
            "correct the name",
        )
    only_values = all(isinstance(law, Values) for law in laws.laws)
    require(
        bool(given) or only_values,
        f"a spread of {sorted(set(changeable))}",
        "none",
        REMEDY,
    )
    return dict(given)


def certain_names(laws: Laws) -> set[str]:
    """Return the names of the terms that laws declare as given."""
    return {
        t.of
        for law in laws.laws
        for part in ("of", "inflow", "outflow")
        for t in _terms(getattr(law, part, ()))
        if t.given
    }


def is_metric(laws: Laws, name: str) -> bool:
    """Whether the spread of a variable is a metric, which has no size of its own."""
    given = laws.spread
    if isinstance(given, Mapping):
        given = given.get(name, given.get("metric"))
    given = given.get("metric") if isinstance(given, Mapping) else given
    return isinstance(given, str) and given.strip() in METRICS


def _terms(entries: Any) -> tuple:
    return tuple(t for t in entries if hasattr(t, "given")) if entries else ()


def _for_all(laws: Laws, given: Any) -> dict[str, Any]:
    """One entry for all variables that laws are about, except known references."""
    return {name: given for law in laws.laws for name in names_of(law)}


def _spread(data: Any, name: str, given: Any, laws: Laws) -> Any:
    array = _plain(data[name])
    if isinstance(given, Mapping):
        require(len(given) == 1, "one kind of spread", dict(given), REMEDY)
        (kind, value), *_ = given.items()
        if kind == "ensemble":
            return _ensemble(data, name, str(value))
        require(kind in ("metric", "std"), "ensemble, metric or std", kind, REMEDY)
        given = value
    if isinstance(given, bool):
        require(False, f"a spread of {name!r}", given, REMEDY)
    if isinstance(given, int | float):
        return xr.full_like(array, float(given))
    text = str(given).strip()
    if text in METRICS:
        return metric(data, name, text, laws)
    if text.endswith("%"):
        return share_of(text) * np.abs(array)
    if text in data.variables:
        return by_month(data, name, text, _plain(data[text]))
    if text == "ensemble":
        return _ensemble(data, name, None)
    try:
        return xr.full_like(array, float(text))
    except ValueError:
        pass
    message = f"a spread of {name!r}: a number, a percentage, a variable or a metric"
    require(False, message, repr(given), REMEDY)
    raise AssertionError


def share_of(text: str) -> float:
    """Return the share that a percentage such as ``"10%"`` states."""
    try:
        share = float(text[:-1]) / 100
    except ValueError:
        share = -1.0
    require(0 <= share < np.inf, "a percentage >= 0", repr(text), REMEDY)
    return share


def _ensemble(data: Any, name: str, member: str | None) -> Any:
    dims = tuple(map(str, data[name].dims))
    if member is None:
        known = [d for d in dims if is_member(d)]
        require(len(known) == 1, "one dimension of members", dims, "name it")
        member = known[0]
    require(
        member in dims and data.sizes[member] >= 2,
        f"two or more members along {member!r}",
        dims,
        "name the dimension of the members: {ensemble: NAME}",
    )
    array = _plain(data[name])
    return array.std(member, ddof=1).broadcast_like(array)


def _plain(array: Any) -> Any:
    return xr.DataArray(array.values.astype(np.float64), dims=array.dims)
