"""From laws about named variables to sparse rows over one long vector of values."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._laws import (
    AnyLaw,
    BlockMean,
    Budget,
    Laws,
    Mean,
    Order,
    Sum,
    Term,
    Total,
    title,
)
from physcon.datasets._solve import Rows
from physcon.datasets._where import angles, cell_sizes, is_member, is_time, space_dims

with needs("data"):
    import scipy.sparse as sp
    import xarray as xr


class LawRows(NamedTuple):
    """The rows of one law.

    Attributes:
        law: the law.
        rows: over all values of the problem.
        labels: names and sizes of the dimensions along which there is a row each.
        units: of the right-hand side, as far as they are known.
        asked: the right-hand sides before they were perturbed, if they were.
    """

    law: AnyLaw
    rows: Rows
    labels: dict[str, int]
    units: str
    asked: np.ndarray | None = None


class Values(NamedTuple):
    """All values of a problem: named arrays, one after the other.

    Attributes:
        data: the dataset that they come from.
        start: where each variable begins.
        size: number of values.
    """

    data: Any
    start: dict[str, int]
    size: int

    def index(self, name: str) -> Any:
        """Return the positions of a variable's values, as an array with its dims."""
        array = self.data[name]
        flat = self.start[name] + np.arange(array.size)
        return xr.DataArray(flat.reshape(array.shape), dims=array.dims)

    def inside(self, name: str) -> Any:
        """Return where a variable has a value."""
        array = self.data[name].variable
        return xr.DataArray(~np.isnan(array.values.astype(np.float64)), dims=array.dims)


def values_of(data: Any, names: Sequence[str]) -> Values:
    """Return the layout of the values of variables."""
    start: dict[str, int] = {}
    size = 0
    for name in names:
        start[name] = size
        size += int(data[name].size)
    return Values(data, start, size)


def law_rows(law: AnyLaw, values: Values, laws: Laws) -> LawRows | None:
    """Return the rows of a law; None for bounds and known values, which have none."""
    make = _MAKERS.get(type(law))
    if make is None:
        return None
    made = make(law, values, laws)
    number = laws.laws.index(law)
    return _perturbed(made, values, laws, number)


def _perturbed(made: LawRows, values: Values, laws: Laws, number: int) -> LawRows:
    """Give each member of an ensemble its own right-hand side, if a law is uncertain.

    With equal ones the members would be drawn together too far. The perturbations have
    mean zero over the members, and the std of the law.
    """
    spread = laws.spread
    entries = spread.values() if isinstance(spread, dict) else ()
    named = {
        str(e["ensemble"]) for e in entries if isinstance(e, dict) and "ensemble" in e
    }
    if isinstance(spread, dict) and "ensemble" in spread:
        named.add(str(spread["ensemble"]))
    if spread == "ensemble":
        named |= {d for d in map(str, values.data.dims) if is_member(d)}
    rows = made.rows
    members = [d for d in named if d in values.data.dims]
    if not members or not rows.std.any():
        return made
    member = members[0]
    count = values.data.sizes[member]
    index = np.full(values.size, -1)
    for name in values.start:
        dims = values.data[name].dims
        if member in dims:
            where = xr.DataArray(np.arange(count), dims=[member])
            where = where.broadcast_like(values.index(name)).transpose(*dims)
            start = values.start[name]
            index[start : start + where.size] = where.values.ravel()
    draws = np.random.default_rng([laws.seed, number]).standard_normal(count)
    draws -= draws.mean()
    draws *= 1 / draws.std(ddof=1)
    matrix = rows.matrix.tocsr()
    of_row = index[matrix.indices[matrix.indptr[:-1]]]
    same = np.repeat(of_row, np.diff(matrix.indptr)) == index[matrix.indices]
    whole = np.logical_and.reduceat(same, matrix.indptr[:-1])
    own = whole & (of_row >= 0)
    shift = np.where(own, draws[of_row] * rows.std, 0.0)
    moved = rows._replace(value=rows.value + shift)
    return made._replace(rows=moved, asked=rows.value)


def summed_dims(law: AnyLaw, data: Any) -> set[str]:
    """Return the dimensions along which a law ties values together."""
    if isinstance(law, Total):
        return set(law.over or space_dims(data, law.of))
    if isinstance(law, BlockMean):
        return set(_block_dims(data, law))
    if isinstance(law, Budget):
        every = set(space_dims(data, law.storage)) if law.per == "total" else set()
        return {law.time, *every}
    return set()


def right_side(data: Any, equals: float | int | str, law: AnyLaw) -> Any:
    """Return the known value as a DataArray without coordinates."""
    if not isinstance(equals, str):
        return xr.DataArray(float(equals))
    require(
        equals in data.variables,
        f"a number or a variable {equals!r} for {title(law)!r}",
        f"variables {sorted(map(str, data.variables))}",
        "name a variable of the dataset",
    )
    return _plain(data[equals])


def _plain(array: Any) -> Any:
    require(
        array.dtype.kind in "fiub",
        f"real numbers in {array.name!r}",
        str(array.dtype),
        "convert it to numbers",
    )
    return xr.DataArray(array.values.astype(np.float64), dims=array.dims)


def _total(law: Total, values: Values, laws: Laws) -> LawRows:
    data = values.data
    dims = tuple(map(str, data[law.of].dims))
    over = tuple(law.over or space_dims(data, law.of))
    missing = [d for d in over if d not in dims]
    require(
        not missing and bool(over),
        f"dimensions of {law.of!r} among {dims}",
        over,
        "correct 'over'",
    )
    mean = isinstance(law, Mean)
    if not mean and law.weights is None:
        _check_surface(data, law, over)
    inside = values.inside(law.of)
    sizes = cell_sizes(data, law.of, over, law.weights, laws).broadcast_like(inside)
    sizes = sizes.transpose(*inside.dims)
    weights = xr.where(inside, sizes, 0.0)
    if mean:
        whole = weights.sum(over)
        weights = weights / whole.where(whole > 0, 1.0)
    initial = law.equals == "initial"
    if initial:
        time = _time_of(data, law.of, over)
        current = (_plain(data[law.of]).fillna(0.0) * weights).sum(over)
        target = current.isel({time: 0})
    else:
        target = right_side(data, law.equals, law)
        _check_units(data, law, mean)
    row_dims = [d for d in dims if d not in over]
    strangers = [d for d in map(str, target.dims) if d not in row_dims]
    require(
        not strangers,
        f"{law.equals!r} with dimensions among {tuple(row_dims)}",
        target.dims,
        "reduce or rename the others: values are matched by name",
    )
    unit = str(data[law.of].attrs.get("units", ""))
    return _assembled(law, values, [(law.of, weights)], over, target, law.std, unit)


def _check_surface(data: Any, law: Total, over: Sequence[str]) -> None:
    """Refuse totals over one of latitude and longitude only: a mean is meant."""

    for kind in ("latitude", "longitude"):
        other = "longitude" if kind == "latitude" else "latitude"
        here = [a for a in angles(data, law.of, kind) if set(a.dims) <= set(over)]
        there = [a for a in angles(data, law.of, other) if set(a.dims) <= set(over)]
        require(
            not here or bool(there),
            f"a total over {kind} and {other}",
            f"{kind} only",
            "use a mean, or name weights",
        )


def _time_of(data: Any, name: str, over: Sequence[str]) -> str:
    times = [d for d in map(str, data[name].dims) if d not in over and is_time(data, d)]
    require(
        len(times) == 1,
        f"one dimension of time of {name!r}, for equals: initial",
        times,
        "name a variable of targets instead",
    )
    return times[0]


def _sum(law: Sum, values: Values, laws: Laws) -> LawRows:
    data = values.data
    target = right_side(data, law.equals, law)
    names = [t.of for t in law.of]
    others = [law.equals] if isinstance(law.equals, str) else []
    _check_same_units(data, [*names, *others], law)
    terms = [(t.of, xr.DataArray(t.times)) for t in law.of]
    unit = str(data[names[0]].attrs.get("units", ""))
    return _assembled(law, values, terms, (), target, law.std, unit)


def _ordered(law: Order, values: Values, laws: Laws) -> LawRows:
    data = values.data
    _check_same_units(data, [law.lesser, law.greater], law)
    terms = [(law.lesser, xr.DataArray(1.0)), (law.greater, xr.DataArray(-1.0))]
    unit = str(data[law.lesser].attrs.get("units", ""))
    found = _assembled(law, values, terms, (), xr.DataArray(0.0), None, unit)
    rows = found.rows._replace(upper_only=np.ones(len(found.rows.value), bool))
    return found._replace(rows=rows)


def _block_dims(data: Any, law: BlockMean) -> dict[str, str]:
    """Return which fine dimension belongs to which coarse one."""
    fine, coarse = data[law.of], data[law.like]
    pairs: dict[str, str] = {}
    for dim in map(str, coarse.dims):
        if dim in fine.dims:
            continue  # the same dimension: one row per index
        stems = [d for d in map(str, fine.dims) if dim.startswith(d) or dim.endswith(d)]
        stems = [d for d in stems if d not in coarse.dims]
        require(
            len(stems) == 1,
            f"a dimension of {law.of!r} for {dim!r}",
            f"{fine.dims}",
            "name the coarse dimension like the fine one with a suffix: lat_coarse",
        )
        pairs[stems[0]] = dim
    missing = [
        d for d in map(str, fine.dims) if d not in pairs and d not in coarse.dims
    ]
    require(
        bool(pairs) and not missing,
        f"dimensions of {law.like!r} for all of {fine.dims}",
        f"{coarse.dims}",
        "name the coarse dimensions like the fine ones with a suffix: lat_coarse",
    )
    return pairs


def _block_mean(law: BlockMean, values: Values, laws: Laws) -> LawRows:
    data = values.data
    require(
        law.like in data.variables, f"a variable {law.like!r}", "none", "correct 'like'"
    )
    pairs = _block_dims(data, law)
    _check_same_units(data, [law.of, law.like], law)
    inside = values.inside(law.of)
    sizes = cell_sizes(data, law.of, tuple(pairs), law.weights, laws)
    weights = xr.where(inside, sizes.broadcast_like(inside), 0.0).transpose(
        *inside.dims
    )
    coarse = data[law.like]
    numbers = xr.DataArray(
        np.arange(coarse.size).reshape(coarse.shape), dims=coarse.dims
    )
    block = numbers
    for fine, dim in pairs.items():
        where = xr.DataArray(_blocks(data, fine, dim), dims=[fine])
        block = block.isel({dim: where})
    block = block.broadcast_like(inside).transpose(*inside.dims).values.ravel()
    w = weights.values.ravel()
    whole = np.bincount(block, w, coarse.size)
    w = w / np.where(whole > 0, whole, 1.0)[block]
    target = coarse.values.astype(np.float64).ravel()
    columns = values.index(law.of).values.ravel()
    known = np.isfinite(target) & (whole > 0)
    matrix = sp.csr_matrix((w, (block, columns)), (coarse.size, values.size))
    std = np.full(coarse.size, float(law.std or 0.0))
    rows = _kept(matrix, target, std, known)
    labels = {"blocks": int(known.sum())}
    return LawRows(law, rows, labels, str(data[law.of].attrs.get("units", "")))


def _blocks(data: Any, fine: str, coarse: str) -> np.ndarray:
    """Return the coarse cell of each fine cell along one dimension."""
    n, m = data.sizes[fine], data.sizes[coarse]
    if fine in data.coords and coarse in data.coords:
        a = np.asarray(data.coords[fine].values, np.float64)
        b = np.asarray(data.coords[coarse].values, np.float64)
        require(m >= 2 or n >= m, "a coarser grid", f"{m} cells", "swap them")
        if m == 1:
            return np.zeros(n, int)
        order = np.argsort(b)
        edges = 0.5 * (b[order][1:] + b[order][:-1])
        found = order[np.searchsorted(edges, a)]
        counts = np.bincount(found, minlength=m)
        require(
            int(counts.min()) > 0,
            f"fine cells of {fine!r} in every cell of {coarse!r}",
            f"{int((counts == 0).sum())} empty cells",
            "check that both cover the same region in the same unit",
        )
        return found
    require(
        n % m == 0,
        f"a multiple of {m} cells along {fine!r}",
        n,
        "add coordinates to both, which say where the cells are",
    )
    return np.arange(n) // (n // m)


def _budget(law: Budget, values: Values, laws: Laws) -> LawRows:
    data = values.data
    time = law.time
    require(
        time in data[law.storage].dims and data.sizes[time] >= 2,
        f"two or more times {time!r} of {law.storage!r}",
        data[law.storage].dims,
        "name the dimension of time",
    )
    n = data.sizes[time]
    step = _steps(data, law)
    inside = values.inside(law.storage)
    over: tuple[str, ...] = ()
    weights: Any = xr.DataArray(1.0)
    if law.per == "total":
        over = space_dims(data, law.storage)
        weights = cell_sizes(data, law.storage, over, law.weights, laws)
    require(law.per in ("column", "total"), "column or total", law.per, "correct 'per'")
    later = slice(1, n)
    before = slice(0, n - 1)
    flux = later if law.fluxes == "end" else before
    both = inside.isel({time: later}).values & inside.isel({time: before}).values
    live = xr.DataArray(both.astype(np.float64), dims=inside.dims)
    terms = [
        (law.storage, live * weights, {time: later}),
        (law.storage, -live * weights, {time: before}),
    ]
    for sign, several in ((-1.0, law.inflow), (1.0, law.outflow)):
        for term in several:
            _check_flux(data, law, term)
            terms.append(
                (term.of, sign * term.times * live * weights * step, {time: flux})
            )
    target = xr.DataArray(np.zeros(n - 1), dims=[time])
    unit = str(data[law.storage].attrs.get("units", ""))
    return _assembled(law, values, terms, over, target, law.std, unit)


def _check_flux(data: Any, law: Budget, term: Term) -> None:
    require(
        term.of in data.variables and law.time in data[term.of].dims,
        f"a rate {term.of!r} along {law.time!r}",
        data[term.of].dims if term.of in data.variables else "none",
        "name a variable that changes in time",
    )
    units = [str(data[n].attrs.get("units", "")) for n in (law.storage, term.of)]
    if all(units) and law.step is None and term.times == 1.0:
        factor = _factor(units[0], f"({units[1]}) * s")
        require(
            factor is None or bool(np.isclose(factor, 1.0)),
            f"a rate {term.of!r} in {units[0]!r} per second, as {law.storage!r} is",
            repr(units[1]) + (f", a factor of {factor:.6g}" if factor else ""),
            "convert it, or give it a coefficient (times: FACTOR)",
        )


def _steps(data: Any, law: Budget) -> Any:
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
        seconds = gaps * _seconds(
            str(data.coords[law.time].attrs.get("units", "")), law
        )
    require(
        bool(np.all(seconds > 0)), f"increasing {law.time!r}", "others", "sort by time"
    )
    return xr.DataArray(seconds.astype(np.float64), dims=[law.time])


def _seconds(units: str, law: Budget) -> float:
    word = units.strip().lower().partition(" ")[0].rstrip("s")
    known = {"day": 86400.0, "d": 86400.0, "hour": 3600.0, "hr": 3600.0, "h": 3600.0}
    known |= {"minute": 60.0, "min": 60.0, "second": 1.0, "sec": 1.0, "": 1.0}
    require(
        word in known and units.strip() != "",
        f"units of {law.time!r} in days, hours, minutes or seconds",
        repr(units),
        "say the length of a step in seconds (step: 86400)",
    )
    return known[word]


def _assembled(
    law: AnyLaw,
    values: Values,
    terms: Sequence[tuple],
    over: Sequence[str],
    target: Any,
    std: float | int | None,
    unit: str,
) -> LawRows:
    """Build one row per index of all dimensions but `over`."""
    parts = []
    sizes: dict[str, int] = {}
    absent = None
    for name, coefficient, *part in terms:
        require(name in values.start, f"a variable {name!r}", "none", "name a variable")
        index = values.index(name)
        inside = values.inside(name)
        if part:
            index = index.isel(part[0])
            inside = inside.isel(part[0])
        index, coefficient, inside = xr.broadcast(index, coefficient, inside)
        coefficient = xr.where(inside, coefficient, 0.0).transpose(*index.dims)
        parts.append((index, coefficient))
        if not over:  # a missing term: the law says nothing at this point
            absent = ~inside if absent is None else absent | ~inside
        sizes |= {str(d): n for d, n in index.sizes.items() if d not in over}
    labels = list(sizes)
    strangers = [d for d in target.dims if d not in labels]
    require(
        not strangers,
        f"known values with dimensions among {tuple(labels)} for {title(law)!r}",
        target.dims,
        "reduce or rename the others: values are matched by name",
    )
    count = int(np.prod(list(sizes.values()), dtype=int))
    shape = tuple(sizes.values())
    number = xr.DataArray(np.arange(count).reshape(shape), dims=labels)
    matrix: Any = sp.csr_matrix((count, values.size))
    for index, coefficient in parts:
        row, index, coefficient = xr.broadcast(number, index, coefficient)
        c = coefficient.values.ravel()
        use = c != 0
        order = index.dims
        entries = (
            c[use],
            (row.transpose(*order).values.ravel()[use], index.values.ravel()[use]),
        )
        matrix = matrix + sp.csr_matrix(entries, (count, values.size))
    b = target.broadcast_like(number).transpose(*labels).values.ravel().astype(float)
    known = np.isfinite(b)
    if absent is not None:
        known &= ~absent.broadcast_like(number).transpose(*labels).values.ravel()
    known &= np.diff(matrix.indptr) > 0
    noise = np.full(count, float(std or 0.0))
    rows = _kept(matrix, b, noise, known)
    whole = bool(known.all())
    return LawRows(law, rows, sizes if whole else {"rows": int(known.sum())}, unit)


def _kept(matrix: Any, b: np.ndarray, std: np.ndarray, known: np.ndarray) -> Rows:
    matrix = matrix.tocsr()[known]
    return Rows(matrix, b[known], std[known], np.zeros(int(known.sum()), bool))


def _check_same_units(data: Any, names: Sequence[str], law: AnyLaw) -> None:
    units = {
        n: str(data[n].attrs.get("units", "")) for n in names if n in data.variables
    }
    units = {n: u for n, u in units.items() if u}
    for n, u in units.items():
        first = next(iter(units))
        if u != units[first]:
            _compare_units(first, units[first], n, u, title(law))


def _compare_units(first: str, unit: str, second: str, other: str, law: str) -> None:
    """Raise unless two units are the same, such as "m/s" and "m s-1"."""
    got = f"{first!r} in {unit!r} and {second!r} in {other!r}"
    factor = _factor(unit, other)
    if factor is None:
        same = unit.split() == other.split()
    else:
        same = bool(np.isclose(factor, 1.0))
        if not same and factor > 0:
            got += f", a factor of {factor:.6g}"
    require(same, f"the same units in {law!r}", got, "convert one of them")


def _factor(unit: str, other: str) -> float | None:
    """Return one `other` in `unit`; 0 for another kind of quantity; None if unknown."""
    try:
        import cf_xarray.units  # noqa: F401
        import pint
    except ImportError:
        return None
    registry = pint.get_application_registry()
    try:
        a = registry.Quantity(1.0, registry.Unit(unit)).to_base_units()
        b = registry.Quantity(1.0, registry.Unit(other)).to_base_units()
    except Exception:  # units that pint does not know are compared as text
        return None
    return float(b.magnitude / a.magnitude) if a.units == b.units else 0.0


def _check_units(data: Any, law: Total, mean: bool) -> None:
    if mean and isinstance(law.equals, str):
        _check_same_units(data, [law.of, law.equals], law)


_MAKERS: dict[type, Callable[[Any, Values, Laws], LawRows]] = {
    Total: _total,
    Mean: _total,
    Sum: _sum,
    Order: _ordered,
    BlockMean: _block_mean,
    Budget: _budget,
}
