"""Rows of the mass of dry air, which is linear in the surface pressure."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._assemble import LawRows, assembled
from physcon.datasets._axes import space_dims
from physcon.datasets._laws import DryAir, Laws
from physcon.datasets._layers import HybridLayers, gravity_of, hybrid_layers
from physcon.datasets._layout import Layout
from physcon.datasets._right_side import plain, right_side
from physcon.datasets._times import time_of
from physcon.datasets._where import cell_sizes

with needs("data"):
    import xarray as xr


def dry_air_rows(law: DryAir, values: Layout, laws: Laws) -> LawRows:
    """Return rows ``sum(area (a + b ps)) = mass`` with a and b of the dry air."""
    data = values.data
    over = space_dims(data, law.of)
    constant, slope = dry_columns(law, data, laws)
    area = cell_sizes(data, law.of, over, law.weights, laws)
    inside = values.inside(law.of)
    weights = xr.where(inside, slope * area, 0.0).transpose(*inside.dims)
    fixed = xr.where(inside, constant * area, 0.0).sum(over)
    if law.equals == "initial":
        known = first_mass(law, data, laws)
    else:
        known = right_side(data, law.equals, law)
    terms = [(law.of, weights)]
    return assembled(law, values, terms, over, known - fixed, law.std, "kg")


def first_mass(law: DryAir, data: Any, laws: Laws) -> Any:
    """Return the masses at the first time."""
    over = space_dims(data, law.of)
    time = time_of(data, law.of, over)
    if not data.sizes[time]:
        return xr.DataArray(0.0)
    first = data.isel({time: 0})
    constant, slope = dry_columns(law, first, laws)
    area = cell_sizes(first, law.of, over, law.weights, laws)
    column = constant + slope * plain(first[law.of])
    return (column * area).sum(over)


def dry_columns(law: DryAir, data: Any, laws: Laws) -> tuple[Any, Any]:
    """Return the dry air of a column as ``constant + slope * ps``, in kg m-2."""
    layers = layers_of(law, data)
    water: Any = 0.0
    for name in law.water:
        each = plain(data[name])
        unknown = int(np.isnan(each.where(~np.isnan(plain(data[law.of])), 0.0)).sum())
        require(
            unknown == 0,
            f"{name!r} wherever {law.of!r} has a value",
            f"{unknown} missing",
            "fill them by zero",
        )
        water = water + each.fillna(0.0)
    a, b = layers.terms()
    share = (1.0 - water) / gravity_of(laws)
    constant = (a * share).sum(layers.dimension)
    slope = (b * share).sum(layers.dimension)
    low = float(slope.min())
    require(low > 0, "less water than air in every column", f"{low:.3g}", "check units")
    return constant, slope


def layers_of(law: DryAir, data: Any) -> HybridLayers:
    """Return the hybrid layers of the water, whose surface pressure is corrected."""
    for name in law.water:
        require(name in data.variables, f"a variable {name!r}", "none", "name it")
    found = [hybrid_layers(data, str(d)) for d in data[law.water[0]].dims]
    usable = [f for f in found if f is not None and f.pressure == law.of]
    require(
        len(usable) == 1,
        f"hybrid levels of {law.water[0]!r} whose surface pressure is {law.of!r}",
        [f.pressure for f in found if f is not None] or "none",
        "add formula_terms to the coordinate of the levels",
    )
    return usable[0]
