"""Rows of sums of variables, and of the order of two variables, at every point."""

import numpy as np

from physcon._extras import needs
from physcon.datasets._assemble import LawRows, assembled
from physcon.datasets._laws import Laws, Order, Sum
from physcon.datasets._layout import Layout
from physcon.datasets._right_side import right_side
from physcon.datasets._units import check_same_units

with needs("data"):
    import xarray as xr


def sum_rows(law: Sum, values: Layout, laws: Laws) -> LawRows:
    """Return rows ``c1 u1 + c2 u2 + ... = b`` at every point."""
    data = values.data
    target = right_side(data, law.equals, law)
    names = [t.of for t in law.of]
    others = [law.equals] if isinstance(law.equals, str) else []
    check_same_units(data, [*names, *others], law)
    terms = [(t.of, xr.DataArray(t.times)) for t in law.of]
    unit = str(data[names[0]].attrs.get("units", ""))
    return assembled(law, values, terms, (), target, law.std, unit)


def order_rows(law: Order, values: Layout, laws: Laws) -> LawRows:
    """Return rows ``lesser - greater <= 0`` at every point."""
    data = values.data
    check_same_units(data, [law.lesser, law.greater], law)
    terms = [(law.lesser, xr.DataArray(1.0)), (law.greater, xr.DataArray(-1.0))]
    unit = str(data[law.lesser].attrs.get("units", ""))
    found = assembled(law, values, terms, (), xr.DataArray(0.0), None, unit)
    rows = found.rows._replace(upper_only=np.ones(len(found.rows.value), bool))
    return found._replace(rows=rows)
