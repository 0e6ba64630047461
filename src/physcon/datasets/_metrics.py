"""Named metrics: the spreads for which the least correction is a well-known fixer."""

from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._axes import space_dims
from physcon.datasets._budgets import summed
from physcon.datasets._dry_air import dry_columns
from physcon.datasets._laws import BlockMean, Budget, DryAir, Laws, Total, names_of
from physcon.datasets._where import cell_sizes

with needs("data"):
    import xarray as xr


def metric(data: Any, name: str, kind: str, laws: Laws) -> Any:
    """Return stds for which the least correction equals the one of a named fixer.

    A correction is proportional to variance times weight. Hence a variance of 1/weight
    gives the same offset everywhere, |value|/weight a common factor, and an equal
    variance gives offsets proportional to the weight. For the mass of dry air, the
    offset applies to the mass of each column.
    """
    array = data[name].variable
    array = xr.DataArray(array.values.astype(np.float64), dims=array.dims)
    if kind in ("thickness", "residual"):
        return xr.ones_like(array)
    weights, slope = _weights(data, name, laws)
    weights = weights.broadcast_like(array).transpose(*array.dims)
    safe = weights.where(weights > 0, 1.0)
    variance: Any = 1 / slope if kind == "uniform" else np.abs(array)
    variance = (variance * xr.ones_like(array)).transpose(*array.dims)
    return np.sqrt((variance / safe).where(weights > 0, 0.0))


def _weights(data: Any, name: str, laws: Laws) -> tuple[Any, Any]:
    """Return the weights of a variable in its first law, and its mass per unit."""
    one = xr.DataArray(1.0)
    for law in laws.laws:
        if name not in names_of(law):
            continue
        if isinstance(law, DryAir):
            slope = dry_columns(law, data, laws)[1]
            slope = slope / float(slope.max())
            area = cell_sizes(data, name, space_dims(data, name), law.weights, laws)
            return area * slope, slope
        if isinstance(law, Total):
            over = tuple(law.over or space_dims(data, name))
            return cell_sizes(data, name, over, law.weights, laws), one
        if isinstance(law, BlockMean):
            space = space_dims(data, name)
            return cell_sizes(data, name, space, law.weights, laws), one
        if isinstance(law, Budget):
            own = tuple(d for d in summed(law, data) if d in data[name].dims)
            if own:
                return cell_sizes(data, name, own, law.weights, laws), one
    return one, one
