"""Predictions from the arrays of a file: checked, members first, ready to change."""

import numpy as np

from physcon._predictions.axes import check_order, member_axis_of, space_positions
from physcon._predictions.fields import Predictions
from physcon._predictions.names import Arrays, Dimensions, Names
from physcon._require import require


def assembled(
    arrays: Arrays,
    dims: dict[str, Dimensions],
    names: Names,
    field: str,
    spreads: list[str],
    present: list[str],
) -> Predictions:
    """Return predictions from arrays that fit each other.

    Args:
        arrays: the field, its spreads and the coordinates, by name.
        dims: the names of the dimensions of the arrays, where the file has them.
        names: which array is what.
        field: name of the mean or of the members.
        spreads: names of the std and the variance of a mean; empty for members.
        present: the names of all arrays in the file.

    Raises:
        ValueError: an array does not fit the others, or has unusable values.
    """
    ensemble = field == names.samples and not spreads
    mean = arrays[field]
    _check_values(arrays, field, spreads)
    positions, faces = space_positions(arrays, names, mean.shape)
    order = dims.get(field)
    check_order(order, dims, names, mean.shape, faces, arrays)
    member_axis = 0
    if ensemble:
        member_axis = member_axis_of(order, names, mean.ndim - len(positions))
        mean, order = _members_first(mean, order, member_axis)
    dtype = _type_of_field(mean.dtype)
    work = np.float64 if dtype.itemsize >= 8 else np.float32
    # Written in place: a copy where the reader's array can't be written to.
    mean = np.require(mean.astype(work, copy=False), requirements=["C", "W"])
    if ensemble:
        kept = [n for n in (names.std, names.variance) if n in arrays]
        kept = [n for n in kept if arrays[n].shape == mean.shape[1:]]
        std = np.std(mean, axis=0, ddof=1, dtype=np.float64).astype(work)
    else:
        kept = spreads
        std = _std(arrays, names, spreads[0], mean, dims, field)
    _check_positive(std, field if ensemble else spreads[0])
    kinds = {name: _floating(arrays[name].dtype, dtype) for name in kept}
    return Predictions(
        mean, std, kinds, ensemble, member_axis, positions, faces, order, present, dtype
    )


def _check_values(arrays: Arrays, field: str, spreads: list[str]) -> None:
    """Refuse spreads of another shape than the field, and non-finite values."""
    shape = arrays[field].shape
    for spread in spreads:
        require(
            arrays[spread].shape == shape,
            f"{spread!r} of shape {shape}",
            arrays[spread].shape,
            "pass one value per point",
        )
    for label in (field, *spreads):
        bad = int(np.sum(~np.isfinite(arrays[label])))
        require(
            bad == 0,
            f"finite values in {label!r}",
            f"{bad} NaN or infinite",
            "fill or drop them; a NetCDF file with a mask goes with a file of laws",
        )


def _members_first(
    mean: np.ndarray, order: Dimensions | None, axis: int
) -> tuple[np.ndarray, Dimensions | None]:
    """Return the members, and the names of their dimensions, with members first."""
    mean = np.moveaxis(mean, axis, 0)
    if order is not None:
        others = [d for k, d in enumerate(order) if k != axis]
        order = (order[axis], *others)
    require(
        mean.shape[0] >= 2,
        "2 or more members",
        mean.shape[0],
        "pass a mean and a std instead",
    )
    return mean, order


def _type_of_field(dtype: np.dtype) -> np.dtype:
    """Return the type to write: floating-point types are kept, integers converted."""
    if dtype.kind == "f":
        return dtype
    return np.dtype(np.float64 if dtype.itemsize > 2 else np.float32)


def _check_positive(std: np.ndarray, label: str) -> None:
    """Refuse a spread that is negative somewhere, or zero everywhere.

    A point with a spread of zero is certain, as points at a bound are afterwards.
    """
    bad = int(np.sum(std < 0))
    require(
        bad == 0,
        f"a positive {label!r}",
        f"{bad} values < 0",
        "pass a spread that is positive, or zero where a point is certain",
    )
    require(
        bool(np.any(std > 0)),
        f"a positive {label!r}",
        "zero everywhere",
        "pass a positive spread at some points, which can then change",
    )


def _std(
    arrays: Arrays,
    names: Names,
    spread: str,
    mean: np.ndarray,
    dims: dict[str, Dimensions],
    field: str,
) -> np.ndarray:
    """Return the standard deviation of a mean, in its type."""
    std = arrays[spread]
    here, there = dims.get(field), dims.get(spread)
    if here is not None and there is not None and set(here) == set(there):
        require(
            here == there,
            f"{spread!r} with dimensions {here}",
            there,
            "transpose it to the order of the field",
        )
    _check_positive(std, spread)
    if spread == names.variance:
        std = np.sqrt(std.astype(np.float64))
    return np.require(std.astype(mean.dtype, copy=False), requirements=["C", "W"])


def _floating(dtype: np.dtype, other: np.dtype) -> np.dtype:
    """Return a floating-point type, or `other` for integers."""
    return dtype if dtype.kind == "f" else other
