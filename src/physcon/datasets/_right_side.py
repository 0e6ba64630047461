"""Known values of a law: numbers, or variables matched by dimension names."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon._require import require
from physcon.datasets._laws import AnyLaw, title

with needs("data"):
    import xarray as xr


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
    return plain(data[equals])


def plain(array: Any) -> Any:
    """Return the values of a variable in float64, without coordinates."""
    require(
        array.dtype.kind in "fiub",
        f"real numbers in {array.name!r}",
        str(array.dtype),
        "convert it to numbers",
    )
    return xr.DataArray(array.values.astype(np.float64), dims=array.dims)
