"""Rows of totals and means: weighted sums over the cells of some dimensions."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows, assembled
from physcon.datasets._axes import angles, space_dims
from physcon.datasets._laws import Laws, Mean, Total
from physcon.datasets._layout import Layout, values_of
from physcon.datasets._right_side import plain, right_side
from physcon.datasets._times import time_of
from physcon.datasets._units import check_same_units, total_units
from physcon.datasets._where import cell_sizes

with needs("data"):
    import xarray as xr


def total_rows(law: Total, values: Layout, laws: Laws) -> LawRows:
    """Return rows ``sum(w u) = b``; for a mean the weights w of a row sum to one."""
    data = values.data
    dims = tuple(map(str, data[law.of].dims))
    over = tuple(law.over or space_dims(data, law.of))
    missing = [d for d in over if d not in dims]
    require(
        bool(dims),
        f"a variable {law.of!r} with dimensions",
        "none",
        "name another variable: a single number has no sum",
    )
    require(
        not missing and bool(over),
        f"dimensions of {law.of!r} among {dims}",
        over,
        "correct 'over'",
    )
    weights = row_weights(law, values, laws, over)
    target = _target(law, data, weights, over)
    row_dims = [d for d in dims if d not in over]
    strangers = [d for d in map(str, target.dims) if d not in row_dims]
    require(
        not strangers,
        f"{law.equals!r} with dimensions among {tuple(row_dims)}",
        target.dims,
        "reduce or rename the others: values are matched by name",
    )
    unit = str(data[law.of].attrs.get("units", ""))
    if not isinstance(law, Mean):
        unit = total_units(unit, law.weights)
    check_finite(weights, law)
    return assembled(law, values, [(law.of, weights)], over, target, law.std, unit)


def row_weights(
    law: Total,
    values: Layout,
    laws: Laws,
    over: tuple[str, ...],
    normalise: bool = True,
) -> Any:
    """Return the weight of every value, zero where the value is missing.

    Those of a row of a mean sum to one, unless `normalise` is False.
    """
    data = values.data
    mean = isinstance(law, Mean)
    if not mean and law.weights is None:
        _check_surface(data, law, over)
    inside = values.inside(law.of)
    sizes = cell_sizes(data, law.of, over, law.weights, laws).broadcast_like(inside)
    sizes = sizes.transpose(*inside.dims)
    weights = xr.where(inside, sizes, 0.0)
    if mean and normalise:
        whole = weights.sum(over)
        weights = weights / whole.where(whole > 0, 1.0)
    return weights


def check_finite(weights: Any, law: Total) -> None:
    """Refuse weights that are not known where there is a value."""
    unknown = int((~np.isfinite(weights)).sum())
    require(
        unknown == 0,
        f"the size of every cell of {law.of!r} with a value",
        f"{unknown} missing or infinite",
        "fill them, or set the values there to NaN",
    )


def first_total(law: Total, data: Any, laws: Laws) -> Any:
    """Return the totals (or means) at the first time, of a dataset with one time."""
    values = values_of(data, [law.of])
    over = tuple(law.over or space_dims(data, law.of))
    return _target(law, data, row_weights(law, values, laws, over), over)


def _target(law: Total, data: Any, weights: Any, over: Sequence[str]) -> Any:
    """Return the known totals: given, or the ones at the first time."""
    if law.equals == "initial":
        time = time_of(data, law.of, over)
        current = (plain(data[law.of]).fillna(0.0) * weights).sum(over)
        return current.isel({time: slice(0, 1)}).sum(time)  # zero without times
    target = right_side(data, law.equals, law)
    if isinstance(law, Mean) and isinstance(law.equals, str):
        check_same_units(data, [law.of, law.equals], law)
    return target


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
