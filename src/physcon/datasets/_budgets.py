"""Rows of budgets: storage changes by inflow minus outflow over each time step."""

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows, assembled
from physcon.datasets._axes import space_dims
from physcon.datasets._laws import Budget, Laws
from physcon.datasets._layout import Layout
from physcon.datasets._tidy import Term
from physcon.datasets._units import conversion, total_units
from physcon.datasets._where import cell_sizes

with needs("data"):
    import xarray as xr


def budget_rows(law: Budget, values: Layout, laws: Laws) -> LawRows:
    """Return rows ``S[k+1] - S[k] - dt (inflow - outflow) = 0``."""
    data = values.data
    time = law.time
    require(
        time in data[law.storage].dims and data.sizes[time] >= 2,
        f"two or more times {time!r} of {law.storage!r}",
        data[law.storage].dims,
        "name the dimension of time",
    )
    n = data.sizes[time]
    step = step_lengths(data, law)
    inside = values.inside(law.storage)
    over = summed(law, data)
    later = slice(1, n)
    before = slice(0, n - 1)
    flux = later if law.fluxes == "end" else before
    both = inside.isel({time: later}).values & inside.isel({time: before}).values
    live = xr.DataArray(both.astype(np.float64), dims=inside.dims)
    live = live * _known(law, values, flux, live.dims)
    stored = _weights(data, law, law.storage, over, laws)
    terms = [
        (law.storage, live * _at(stored, time, later), {time: later}),
        (law.storage, -live * _at(stored, time, before), {time: before}),
    ]
    missing = [d for d in over if d not in live.dims]
    require(
        not missing,
        f"dimensions of {law.storage!r} among {live.dims}",
        missing,
        "correct 'over'",
    )
    for sign, several in ((-1.0, law.inflow), (1.0, law.outflow)):
        for term in several:
            rate = _weights(data, law, term.of, over, laws)
            lacking = [d for d in over if d not in data[term.of].dims]
            column = live.max(lacking) if lacking else live
            sizes = _at(rate, time, flux) * column
            terms.append((term.of, sign * term.times * step * sizes, {time: flux}))
    target = xr.DataArray(np.zeros(n - 1), dims=[time])
    unit = str(data[law.storage].attrs.get("units", ""))
    if over:
        unit = total_units(unit, law.weights)
    return assembled(law, values, terms, over, target, law.std, unit)


def _known(law: Budget, values: Layout, flux: slice, dims: Sequence[Hashable]) -> Any:
    """Return where all rates have values: the budget is summed over these places."""
    found: Any = xr.DataArray(True)
    for term in (*law.inflow, *law.outflow):
        _check_flux(values.data, law, term)
        present = values.inside(term.of).isel({law.time: flux})
        found = found & present.all([d for d in present.dims if d not in dims])
    return found


def summed(law: Budget, data: Any) -> tuple[str, ...]:
    """Return the dimensions that a budget is summed over."""
    over = tuple(law.over or ())
    if law.per == "total":
        space = space_dims(data, law.storage)
        over = (*over, *(d for d in space if d not in over))
    return over


def _weights(
    data: Any, law: Budget, name: str, over: tuple[str, ...], laws: Laws
) -> Any:
    """Return the sizes of the cells of one variable of a budget."""
    own = tuple(d for d in over if d in data[name].dims)
    if not own:
        return xr.DataArray(1.0)
    return cell_sizes(data, name, own, law.weights, laws)


def _at(weights: Any, time: str, times: slice) -> Any:
    """Return the weights at some times, where they change in time."""
    return weights.isel({time: times}) if time in weights.dims else weights


def _check_flux(data: Any, law: Budget, term: Term) -> None:
    """Refuse a rate without time, or in other units than storage per second."""
    require(
        term.of in data.variables and law.time in data[term.of].dims,
        f"a rate {term.of!r} along {law.time!r}",
        data[term.of].dims if term.of in data.variables else "none",
        "name a variable that changes in time",
    )
    units = [str(data[n].attrs.get("units", "")) for n in (law.storage, term.of)]
    if all(units) and law.step is None and term.times == 1.0:
        factor = conversion(units[0], f"({units[1]}) * s")
        require(
            factor is None or bool(np.isclose(factor, 1.0)),
            f"a rate {term.of!r} in {units[0]!r} per second, as {law.storage!r} is",
            repr(units[1]) + (f", a factor of {factor:.6g}" if factor else ""),
            "convert it, or give it a coefficient (times: FACTOR)",
        )


def step_lengths(data: Any, law: Budget) -> Any:
    """Return the lengths of the time steps, in seconds unless `step` is given."""
    n = data.sizes[law.time]
    if law.step is not None:
        return xr.DataArray(np.full(n - 1, float(law.step)), dims=[law.time])
    require(
        law.time in data.coords,
        f"a coordinate {law.time!r}",
        "none",
        "add it, or say the length of a step (step: 86400)",
    )
    times = data.coords[law.time].values
    gaps = np.diff(times)
    if gaps.dtype.kind == "m":
        seconds = gaps / np.timedelta64(1, "s")
    elif gaps.dtype.kind == "O":  # dates of other calendars
        seconds = np.array([g.total_seconds() for g in gaps])
    else:
        attrs = {**data.coords[law.time].encoding, **data.coords[law.time].attrs}
        units = str(attrs.get("units", ""))
        seconds = gaps * _seconds(units, str(attrs.get("calendar", "")), law)
    require(
        bool(np.all(seconds > 0)), f"increasing {law.time!r}", "others", "sort by time"
    )
    return xr.DataArray(seconds.astype(np.float64), dims=[law.time])


def _seconds(units: str, calendar: str, law: Budget) -> float:
    """Return the length of a unit of time in seconds.

    Months have one length in a calendar of 360 days only.
    """
    word = units.strip().lower().partition(" ")[0].rstrip("s")
    known = {"day": 86400.0, "d": 86400.0, "hour": 3600.0, "hr": 3600.0, "h": 3600.0}
    if calendar.lower() == "360_day":
        known |= {"month": 30 * 86400.0, "year": 360 * 86400.0}
    known |= {"minute": 60.0, "min": 60.0, "second": 1.0, "sec": 1.0, "": 1.0}
    require(
        word in known and units.strip() != "",
        f"units of {law.time!r} in days, hours, minutes or seconds",
        repr(units),
        "say the length of a step in seconds (step: 86400)",
    )
    return known[word]
