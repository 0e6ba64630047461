"""All values of a problem in one long vector, one variable after the other."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from physcon._extras import needs

with needs("data"):
    import xarray as xr


class Layout(NamedTuple):
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


def values_of(data: Any, names: Sequence[str]) -> Layout:
    """Return the layout of the values of variables."""
    start: dict[str, int] = {}
    size = 0
    for name in names:
        start[name] = size
        size += int(data[name].size)
    return Layout(data, start, size)


def as_vector(data: Any, names: Sequence[str]) -> np.ndarray:
    """Return the values of variables in float64, one variable after the other."""
    flat = [data[name].values.astype(np.float64).ravel() for name in names]
    return np.concatenate(flat)
