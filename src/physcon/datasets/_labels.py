"""What the indices of a dimension stand for: dates, coordinates, or the index."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.datasets._entries import Label

with needs("data"):
    import xarray as xr


def labels_of(data: Any, dimension: str, start: int = 0) -> list[Label]:
    """Return a label for each index of a dimension.

    Args:
        data: the dataset.
        dimension: name of the dimension.
        start: number of the first index, for a dimension without a coordinate.
    """
    if dimension not in data.coords or data.coords[dimension].dims != (dimension,):
        return [start + k for k in range(data.sizes[dimension])]
    return coordinate_labels(data.coords[dimension])


def coordinate_labels(coordinate: Any) -> list[Label]:
    """Return dates as texts, other coordinates as numbers."""
    values = coordinate.values
    units = str(coordinate.attrs.get("units", ""))
    if values.dtype.kind in "fiu" and " since " in units:
        return _dates(coordinate, units)
    if values.dtype.kind in "fiu":
        return [float(f"{v:.9g}") for v in values.tolist()]
    if values.dtype.kind == "M":
        return [_short(np.datetime_as_string(v, "s")) for v in values]
    return [_short(str(v)) for v in values]


def places_of(array: Any, flat: Sequence[int]) -> list[dict[str, Label]]:
    """Return the coordinates of some values of an array, given by flat indices."""
    where = np.unravel_index(np.asarray(flat, int), array.shape)
    at = dict(zip(map(str, array.dims), where, strict=True))
    columns: dict[str, list[Label]] = {}
    for dimension, indices in at.items():
        one = array.coords.get(dimension)
        if one is None or one.dims != (dimension,):
            columns[dimension] = [int(k) for k in indices]
        else:
            columns[dimension] = coordinate_labels(one[indices])
    for name, extra in array.coords.items():
        # Two-dimensional latitudes and longitudes, such as those of ocean models.
        if extra.ndim == 2 and extra.dtype.kind == "f" and name not in array.dims:
            values = extra.values[tuple(at[str(d)] for d in extra.dims)]
            columns[str(name)] = [float(f"{v:.6g}") for v in values.tolist()]
    return [{n: c[k] for n, c in columns.items()} for k in range(len(flat))]


def _dates(coordinate: Any, units: str) -> list[Label]:
    """Return dates, or numbers with their unit where no calendar decodes them."""
    plain = xr.Dataset({"t": ("t", coordinate.values, dict(coordinate.attrs))})
    try:
        decoded = xr.decode_cf(plain, use_cftime=None).t.values
    except Exception:  # decoders raise many kinds of errors for odd units
        return [f"{v:g} {units}" for v in coordinate.values.tolist()]
    if decoded.dtype.kind == "M":
        return [_short(np.datetime_as_string(v, "s")) for v in decoded]
    if decoded.dtype.kind == "O":
        return [_short(v.isoformat() if v is not None else "none") for v in decoded]
    return [f"{v:g} {units}" for v in coordinate.values.tolist()]


def _short(text: str) -> str:
    """Return a date without a time of midnight."""
    return text.removesuffix("T00:00:00").replace("T", " ")
