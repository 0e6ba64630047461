"""The calendar month of every time, for spreads that are climatologies."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._axes import is_time

with needs("data"):
    import xarray as xr


def by_month(data: Any, name: str, source: str, std: Any) -> Any:
    """Return a spread along the dimensions of a variable; months are found by time.

    Args:
        data: the dataset.
        name: of the variable.
        source: name of the variable that holds the spread.
        std: the spread, which may have a dimension ``month`` of length 12.
    """
    dims = tuple(map(str, data[name].dims))
    extra = [str(d) for d in std.dims if d not in dims]
    times = [d for d in dims if is_time(data, d) and d in data.coords]
    if extra == ["month"] and std.sizes["month"] == 12 and len(times) == 1:
        labels = np.arange(1, 13)
        if "month" in data.coords:
            labels = data.coords["month"].values
        order = np.argsort(labels)
        place = order[months_of(data.coords[times[0]]) - 1]
        return std.isel(month=xr.DataArray(place, dims=times))
    require(
        not extra,
        f"a spread {source!r} with dimensions among {dims}, or month",
        std.dims,
        "reduce or rename the others",
    )
    return std


def months_of(time: Any) -> np.ndarray:
    """Return the month of each time, from 1 to 12, in any calendar."""
    values = time.values
    if values.dtype.kind in "iuf" and " since " in str(time.attrs.get("units")):
        plain = xr.Dataset(coords={str(time.name): time.variable})
        values = xr.decode_cf(plain)[time.name].values
    if values.dtype.kind == "M":
        return values.astype("M8[M]").astype(int) % 12 + 1
    dated = values.dtype == object
    require(
        dated, f"dates in {str(time.name)!r}", str(values.dtype), "add units to them"
    )
    return np.array([each.month for each in values], int)
