"""Audit a dataset, and constrain it: named variables in, named variables out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._checks import require
from physcon._extras import needs
from physcon.datasets._laws import Between, Laws, Total, Values, names_of, title
from physcon.datasets._laws import laws as as_laws
from physcon.datasets._report import LawReport, Report, VariableReport
from physcon.datasets._rows import (
    LawRows,
    law_rows,
    right_side,
    summed_dims,
    values_of,
)
from physcon.datasets._solve import Rows, residual, sizes, solve, variance_left
from physcon.datasets._spread import is_metric, spreads

with needs("data"):
    import scipy.sparse as sp
    import xarray as xr


_VALUES_AT_ONCE = 1_000_000


class Problem(NamedTuple):
    """All values of one block of a dataset, and all laws on them."""

    names: list[str]
    values: Any
    mean: np.ndarray
    std: np.ndarray
    lower: np.ndarray
    upper: np.ndarray
    rows: list[LawRows]


def audit(data: Any, laws: Any, **options: Any) -> Report:
    """Return how far a dataset is from obeying laws; nothing is changed.

    Args:
        data: an `xarray.Dataset`.
        laws: see `physcon.datasets.laws`.
        **options: `coordinates` or `radius`, see `Laws`.

    Raises:
        ValueError: a variable is missing, or the dataset does not say where it lives.
    """
    laws = as_laws(laws, **options)
    check_names(data, laws)
    problem = _problem(data, laws, with_spread=False)
    return _report(laws, problem, problem.mean, None)


def constrain(data: Any, laws: Any, spread: Any = None, **options: Any) -> Any:
    """Return the dataset with its variables corrected as little as the laws allow.

    The correction is the least in units of the spread of each variable: the most
    probable values of a Gaussian with that spread, given the laws. Missing values stay
    missing, and attributes, encoding, types and the order of dimensions are kept. A
    dataset that is split into dask chunks is constrained chunk by chunk when it is
    computed.

    Args:
        data: an `xarray.Dataset`.
        laws: see `physcon.datasets.laws`.
        spread: the standard deviation of the variables: a number, a percentage such as
            ``"10%"`` of the absolute value, the name of a variable, ``{"ensemble":
            "member"}``, or a metric (``"uniform"``, ``"proportional"``,
            ``"thickness"``, ``"residual"``); or a dictionary of these by variable.
            Variables that a dictionary leaves out are certain.
        **options: `coordinates` or `radius`, see `Laws`.

    Raises:
        ValueError: a variable is missing, the dataset does not say where it lives, or
            the laws contradict each other or the bounds.
    """
    laws = as_laws(laws, spread=spread, **options)
    check_names(data, laws)
    names = changed_names(laws)
    if any(data[name].chunks for name in names):
        return _lazily(data, laws, names)
    return constrain_with_report(data, laws)[0]


def constrain_with_report(data: Any, laws: Laws) -> tuple[Any, Report]:
    """Return the constrained dataset, and a report on the errors before and after."""
    check_names(data, laws)
    names = changed_names(laws)
    outer = batch_dim(data, laws, names)
    if outer is None:
        return _one_block(data, laws)
    step = block_length(data, laws, outer)
    if step >= data.sizes[outer]:
        return _one_block(data, laws)
    blocks, reports = [], []
    for start in range(0, data.sizes[outer], step):
        block = data.isel({outer: slice(start, start + step)})
        fixed, report = _one_block(block, laws)
        blocks.append(fixed)
        reports.append(report)
    joined = data.copy()
    for name in [*names, *spread_names(data, laws)]:
        several = [b[name].variable for b in blocks]
        joined[name] = _like(data[name], np.concatenate(
            [v.values for v in several], axis=data[name].dims.index(outer)
        ))  # fmt: skip
    return joined, Report.joined(reports)


def changed_names(laws: Laws) -> list[str]:
    """Return the names of the variables that laws are about, without repetition."""
    return list(dict.fromkeys(n for law in laws.laws for n in names_of(law)))


def block_length(data: Any, laws: Laws, outer: str) -> int:
    """Return how many indices of a dimension to constrain at once."""
    values = sum(int(data[n].size) for n in changed_names(laws))
    per_index = max(1, values // max(1, data.sizes[outer]))
    return max(1, _VALUES_AT_ONCE // per_index)


def spread_names(data: Any, laws: Laws) -> list[str]:
    """Return the variables that hold the spread of one other, and follow its change."""
    given = laws.spread
    if isinstance(given, str):
        given = {n: given for n in changed_names(laws)}
    if not isinstance(given, dict):
        return []
    named = {n: s for n, s in given.items() if isinstance(s, str) and s in data}
    once = list(named.values())
    return [
        s
        for n, s in named.items()
        if once.count(s) == 1 and n in data and data[s].dims == data[n].dims
    ]


def batch_dim(data: Any, laws: Laws, names: Sequence[str]) -> str | None:
    """Return a dimension of all variables along which no law ties values together."""
    tied: set[str] = set()
    for law in laws.laws:
        tied |= summed_dims(law, data)
        if isinstance(law, Total) and law.equals == "initial":
            tied |= {str(d) for d in data[law.of].dims}
    ensemble = {
        str(v["ensemble"])
        for v in (laws.spread.values() if isinstance(laws.spread, dict) else ())
        if isinstance(v, dict) and "ensemble" in v
    }
    if isinstance(laws.spread, dict) and "ensemble" in laws.spread:
        ensemble.add(str(laws.spread["ensemble"]))
    common = [d for d in map(str, data[names[0]].dims)]
    for name in names[1:]:
        common = [d for d in common if d in data[name].dims]
    free = [d for d in common if d not in tied | ensemble]
    return free[0] if free else None


def _one_block(data: Any, laws: Laws) -> tuple[Any, Report]:
    problem = _problem(data, laws, with_spread=True)
    rows = _stacked(problem)
    found = solve(problem.mean, problem.std, problem.lower, problem.upper, rows)
    _check_met(problem, found.good, found.unmet)
    fixed = data.copy()
    for name in problem.names:
        fixed[name] = _like(data[name], _part(problem, name, found.values, data))
    fixed = _with_new_spread(fixed, laws, problem, rows)
    written = _written(problem, fixed)
    report = _report(laws, problem, written, problem.std)
    return fixed, report


def _problem(data: Any, laws: Laws, with_spread: bool) -> Problem:
    names = changed_names(laws)
    values = values_of(data, names)
    flat = [data[n].values.astype(np.float64).ravel() for n in names]
    raw = np.concatenate(flat)
    missing = np.isnan(raw)
    mean = np.where(missing, 0.0, raw)
    bad = int(np.sum(np.isinf(mean)))
    require(bad == 0, "finite or missing values", f"{bad} infinite", "correct them")
    std = np.zeros(values.size)
    if with_spread:
        found = spreads(data, laws, names)
        std = np.concatenate([found[n].values.ravel() for n in names])
        std = np.where(missing, 0.0, std)
    lower = np.full(values.size, -np.inf)
    upper = np.full(values.size, np.inf)
    rows: list[LawRows] = []
    for law in laws.laws:
        if isinstance(law, Between):
            _bound(law, values, lower, upper)
        elif isinstance(law, Values):
            if with_spread:
                _fix(law, values, mean, std)
        else:
            made = law_rows(law, values, laws)
            if made is not None:
                rows.append(made)
    certain = (std == 0) & ~missing
    if with_spread:
        scale = np.abs(mean)
        out = certain & (
            (mean < lower - 1e-12 * scale) | (mean > upper + 1e-12 * scale)
        )
        require(
            not out.any(),
            "certain values within their bounds",
            f"{int(out.sum())} outside",
            "give them a spread, or widen the bounds",
        )
        crossed = int(np.sum(lower > upper))
        require(crossed == 0, "lower <= upper", f"{crossed} crossed", "swap the bounds")
    lower = np.where(certain | missing, -np.inf, lower) if with_spread else lower
    upper = np.where(certain | missing, np.inf, upper) if with_spread else upper
    return Problem(names, values, mean, std, lower, upper, rows)


def _bound(law: Between, values: Any, lower: np.ndarray, upper: np.ndarray) -> None:
    index = values.index(law.of)
    for given, ends, tighter in (
        (law.lower, lower, np.maximum),
        (law.upper, upper, np.minimum),
    ):
        if given is None:
            continue
        known = right_side(values.data, given, law)
        known = known.broadcast_like(index).transpose(*index.dims).values.ravel()
        where = index.values.ravel()
        known = np.where(np.isnan(known), ends[where], known)
        ends[where] = tighter(ends[where], known)


def _fix(law: Values, values: Any, mean: np.ndarray, std: np.ndarray) -> None:
    """Set known values, which are certain from then on."""
    index, mask, known = _fixed_values(law, values)
    here = index[mask]
    mean[here] = known[mask]
    std[here] = 0.0


def _fixed_values(law: Values, values: Any) -> tuple[np.ndarray, ...]:
    index = values.index(law.of)
    where = right_side(values.data, law.where, law)
    known = right_side(values.data, law.equals, law)
    order = index.dims
    mask = where.fillna(0.0).broadcast_like(index).transpose(*order).values.ravel() != 0
    known = known.broadcast_like(index).transpose(*order).values.ravel()
    inside = values.inside(law.of).values.ravel()
    return index.values.ravel(), mask & inside & np.isfinite(known), known


def _stacked(problem: Problem) -> Rows:
    size = len(problem.mean)
    if not problem.rows:
        empty = np.zeros(0)
        return Rows(sp.csr_matrix((0, size)), empty, empty, np.zeros(0, bool))
    several = [r.rows for r in problem.rows]
    return Rows(
        sp.vstack([r.matrix for r in several]).tocsr(),
        np.concatenate([r.value for r in several]),
        np.concatenate([r.std for r in several]),
        np.concatenate([r.upper_only for r in several]),
    )


def _check_met(problem: Problem, good: np.ndarray, unmet: np.ndarray) -> None:
    """Raise with the law that can't be met, and the reason as far as it is known."""
    start = 0
    for made in problem.rows:
        stop = start + len(made.rows.value)
        bad = np.flatnonzero(~good[start:stop])
        if bad.size:
            worst = int(bad[np.argmax(unmet[start:stop][bad])])
            row = made.rows.matrix[worst]
            low, high = _reach(row, problem)
            value = made.rows.value[worst]
            where = f"{bad.size} of {stop - start} rows, such as row {worst}"
            if low <= value <= high:
                got = f"{where}: other laws contradict it"
                remedy = "correct one of the laws, or give one of them a std"
            else:
                got = f"{where}, where {value:.6g} is out of [{low:.6g}, {high:.6g}]"
                remedy = (
                    "widen the bounds, give more values a spread, or correct the law"
                )
            require(False, f"{title(made.law)!r} within reach", got, remedy)
        start = stop


def _reach(row: Any, problem: Problem) -> tuple[float, float]:
    c = row.data
    free = problem.std[row.indices] > 0
    mean = problem.mean[row.indices]
    low = np.where(free, problem.lower[row.indices], mean)
    high = np.where(free, problem.upper[row.indices], mean)
    a, b = c * low, c * high
    return float(np.minimum(a, b).sum()), float(np.maximum(a, b).sum())


def _part(problem: Problem, name: str, values: np.ndarray, data: Any) -> np.ndarray:
    array = data[name]
    start = problem.values.start[name]
    old = array.values
    new = values[start : start + array.size].reshape(array.shape)
    return np.where(np.isnan(old.astype(np.float64)), old, new)


def _like(array: Any, values: np.ndarray) -> Any:
    """Return an array with new values; all else, its type included, is kept."""
    dtype = array.dtype if array.dtype.kind == "f" else np.float64
    new = array.copy(data=values.astype(dtype))
    new.encoding = dict(array.encoding)
    return new


def _written(problem: Problem, fixed: Any) -> np.ndarray:
    """Return the values in the precision of the dataset, as a long vector."""
    flat = [fixed[n].values.astype(np.float64).ravel() for n in problem.names]
    return np.nan_to_num(np.concatenate(flat), nan=0.0)


def _with_new_spread(fixed: Any, laws: Laws, problem: Problem, rows: Rows) -> Any:
    """Update variables of the dataset that hold the std of a constrained one."""
    kept = spread_names(fixed, laws)
    given = laws.spread
    if isinstance(given, str):
        given = {n: given for n in problem.names}
    pairs = given.items() if isinstance(given, dict) else ()
    named = {n: s for n, s in pairs if isinstance(s, str) and s in kept}
    if not named:
        return fixed
    left = variance_left(problem.std, rows)
    if left is None:
        return fixed
    for name, spread in named.items():
        start = problem.values.start[name]
        stop = start + fixed[name].size
        std = problem.std[start:stop] * np.sqrt(left[start:stop])
        old = fixed[spread].values
        new = np.where(np.isnan(fixed[name].values), old, std.reshape(old.shape))
        fixed[spread] = _like(fixed[spread], new)
    return fixed


def _report(
    laws: Laws, problem: Problem, after: np.ndarray, std: np.ndarray | None
) -> Report:
    data = problem.values.data
    before = np.nan_to_num(
        np.concatenate(
            [data[n].values.astype(np.float64).ravel() for n in problem.names]
        ),
        nan=0.0,
    )
    found: list[LawReport] = []
    made = {id(r.law): r for r in problem.rows}
    eps = max(_rounding(data[n].dtype) for n in problem.names)
    for law in laws.laws:
        if id(law) in made:
            r = made[id(law)]
            rows = r.rows if r.asked is None else r.rows._replace(value=r.asked)
            first, last = (_errors(rows, u) for u in (before, after))
            rounding = 16 * eps * sizes(rows, before)
            entry = LawReport.of(title(law), r.units, r.labels, first, last, rounding)
            found.append(entry)
        elif isinstance(law, Between):
            errors = [_outside(law, problem, u) for u in (before, after)]
            found.append(
                LawReport.of(title(law), "", {"points": len(errors[0])}, *errors)
            )
        elif isinstance(law, Values):
            index, mask, known = _fixed_values(law, problem.values)
            errors = [np.abs(u[index[mask]] - known[mask]) for u in (before, after)]
            count = {"points": int(mask.sum())}
            found.append(LawReport.of(title(law), "", count, *errors))
    changes = []
    if std is not None:
        for name in problem.names:
            start = problem.values.start[name]
            part = slice(start, start + data[name].size)
            metric = is_metric(laws, name)
            unit = str(data[name].attrs.get("units", ""))
            changes.append(
                VariableReport.of(
                    name, unit, before[part], after[part], std[part], metric
                )
            )
    return Report(tuple(found), tuple(changes))


def _rounding(dtype: np.dtype) -> float:
    return float(np.finfo(dtype if dtype.kind == "f" else np.float64).eps)


def _errors(rows: Rows, u: np.ndarray) -> np.ndarray:
    missed = -residual(rows, u)
    return np.where(rows.upper_only, np.maximum(missed, 0.0), np.abs(missed))


def _outside(law: Between, problem: Problem, u: np.ndarray) -> np.ndarray:
    """Return by how much values are outside of their bounds, at each point."""
    lower = np.full(len(u), -np.inf)
    upper = np.full(len(u), np.inf)
    _bound(law, problem.values, lower, upper)
    index = problem.values.index(law.of).values.ravel()
    inside = problem.values.inside(law.of).values.ravel()
    here = index[inside]
    v = u[here]
    return np.maximum(np.maximum(lower[here] - v, v - upper[here]), 0.0)


def check_names(data: Any, laws: Laws) -> None:
    for law in laws.laws:
        for name in names_of(law):
            require(
                name in data.data_vars or name in data.coords,
                f"a variable {name!r} for {title(law)!r}",
                f"variables {sorted(map(str, data.data_vars))}",
                "name a variable of the dataset",
            )
            require(
                data[name].dtype.kind in "fiu",
                f"real numbers in {name!r}",
                str(data[name].dtype),
                "convert it to numbers",
            )


def _lazily(data: Any, laws: Laws, names: list[str]) -> Any:
    """Constrain dask chunks one by one, when they are computed."""
    outer = batch_dim(data, laws, names)
    require(
        outer is not None,
        "a dimension along which no law sums, for a dataset in chunks",
        "none",
        "load the dataset first (data.load())",
    )
    whole = {d: -1 for d in data.dims if d != outer}
    split = data.chunk(whole)
    fixed = data.copy()

    def block(part: Any) -> Any:
        return constrain_with_report(part, laws)[0][names]

    names = [*names, *spread_names(data, laws)]
    template = split[names]
    small = split.drop_vars(
        [n for n in split.data_vars if n not in _needed(split, laws)]
    )
    result = xr.map_blocks(block, small, template=template)
    for name in names:
        fixed[name] = result[name].transpose(*data[name].dims)
        fixed[name].attrs = dict(data[name].attrs)
        fixed[name].encoding = dict(data[name].encoding)
    return fixed


def _needed(data: Any, laws: Laws) -> set[str]:
    """Return the variables that laws may read: all but large ones never mentioned."""
    text = repr(laws)
    return {
        str(n)
        for n in data.data_vars
        if repr(str(n)) in text or data[n].chunks is None or data[n].size < 10**7
    }
