"""Datasets overwritten in a copy of an HDF5 file.

The file is copied and the named datasets are overwritten in place, so that everything
else stays as it is, bit for bit: groups, attributes, compression, text, records, and
data of other programs.
"""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.io._dtypes import is_floating
from physcon.io._links import is_elsewhere, owned
from physcon.io._packing import (
    MISSING,
    PACKING,
    RANGES,
    fill_mark,
    is_packed,
    marks_of,
    missing_values,
)
from physcon.io._storage import open_hdf5

Arrays = dict[str, np.ndarray]
Block = dict[str, tuple[Any, np.ndarray]]
_SCALE = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST")


def write(path: Path, arrays: Arrays, like: Path | None) -> None:
    """Overwrite datasets in a copy of `like`, or write a new file."""
    with needs("data"):
        pass

    if like is None:
        with open_hdf5(path, "w") as file:
            for name, array in arrays.items():
                file[name] = array
        return
    whole = {name: (..., array) for name, array in arrays.items()}
    write_blocks(path, like, [whole])


def write_blocks(path: Path, like: Path, blocks: Iterable[Block]) -> None:
    """Overwrite parts of datasets in a copy of `like`, as they become available."""
    with needs("data"):
        import h5py

    shutil.copyfile(like, path)
    prepared: dict[str, tuple[str, dict[str, Any]]] = {}
    with h5py.File(like, "r") as source, open_hdf5(path, "r+") as file:
        for block in blocks:
            for name, (where, array) in block.items():
                if not isinstance(source.get(name), h5py.Dataset):
                    _add(file, source, name, array)
                    continue
                _check_shape(source[name], name, where, array)
                if name not in prepared:
                    prepared[name] = _prepared(file, source, name, array.dtype)
                    _check_apart(file, name, prepared)
                place, marks = prepared[name]
                _refill(file[place], where, array, marks)
                _drop_stale_ranges(file[place], array, marks_of(source[name].attrs))


def _check_apart(file: Any, name: str, prepared: dict[str, tuple[str, Any]]) -> None:
    """Raise ValueError if two names to write are links to one dataset."""
    mine = file[prepared[name][0]]
    for other, (place, _) in prepared.items():
        if other != name and file[place] == mine:
            raise ValueError(
                f"expected a dataset of its own for {name!r}, got a link to the one "
                f"that {other!r} names; copy it in the file"
            )


def _add(file: Any, source: Any, name: str, array: np.ndarray) -> None:
    """Write a new dataset, below the groups of the file as far as they exist."""
    *groups, last = name.split("/")
    while groups and "/".join(groups) not in source:
        last = f"{groups.pop()}/{last}"
    place = owned(file, source, "/".join(groups))
    file[f"{place}/{last}"] = array


def _check_shape(original: Any, name: str, where: Any, array: np.ndarray) -> None:
    if where is ... and original.shape != array.shape:
        raise ValueError(
            f"expected {name!r} of shape {original.shape}, got {array.shape}; "
            "keep the shape of the file's own array"
        )


def _prepared(
    file: Any, source: Any, name: str, dtype: np.dtype
) -> tuple[str, dict[str, Any]]:
    """Return where to write values of a type, and the marks of missing values there.

    A dataset that can't hold the values, or that lies in other files, is replaced.
    """
    original = source[name]
    place = owned(file, source, name)
    marks = marks_of(original.attrs)
    raw = original.dtype
    packed = is_floating(dtype) and is_packed(raw, marks)
    other = raw.kind != dtype.kind or (raw.kind != "f" and raw != dtype)
    if packed or other:
        _replace(file, place, original, dtype, unpacked=True)
        return place, {}
    if is_elsewhere(original):
        _replace(file, place, original, raw, unpacked=False)
    return place, marks


def _refill(old: Any, where: Any, array: np.ndarray, marks: dict[str, Any]) -> None:
    """Write values in place; what was missing and still is keeps its mark."""
    if any(name in marks for name in MISSING) and np.isnan(array).any():
        raw = np.asarray(old[where])
        kept = missing_values(raw, marks)
        absent = np.isnan(array)
        filled = np.where(absent, fill_mark(marks, raw.dtype), array)
        array = filled if kept is None else np.where(kept & absent, raw, filled)
    old[where] = array


def _replace(
    file: Any, place: str, original: Any, dtype: np.dtype, unpacked: bool
) -> None:
    """Make an empty dataset with the layout, attributes and dimensions of the old."""
    with needs("data"):
        import h5py

    elsewhere = is_elsewhere(original)
    layout: dict[str, Any] = {}
    if not elsewhere and original.chunks is not None:
        same = ("chunks", "maxshape", "compression", "compression_opts", "shuffle")
        layout = {key: getattr(original, key) for key in (*same, "fletcher32")}
    dropped = {*_SCALE, *PACKING, *RANGES, *MISSING} if unpacked else {*_SCALE}
    kept = {k: original.attrs[k] for k in original.attrs if k not in dropped}
    had_mark = unpacked and any(k in original.attrs for k in MISSING)
    scales = [(axis, file[name]) for axis, name in _scales(original) if name in file]
    if not elsewhere:  # opening such a dataset here could open other files for writing
        for axis, scale in scales:
            file[place].dims[axis].detach_scale(scale)
    del file[place]
    fill = {"fillvalue": np.nan} if had_mark else {}
    new = file.create_dataset(
        place, original.shape, dtype, **layout, **fill, track_order=True
    )
    for key, value in kept.items():
        if isinstance(value, h5py.Empty):
            new.attrs[key] = value
        else:
            new.attrs.create(key, value)
    if had_mark:
        new.attrs.create("_FillValue", np.array([np.nan], dtype))
    for axis, scale in scales:
        new.dims[axis].attach_scale(scale)


def _scales(item: Any) -> list[tuple[int, str]]:
    """Return the axes of a dataset and the names of their dimension scales."""
    if "DIMENSION_LIST" not in item.attrs:
        return []
    axes = enumerate(item.dims)
    return [(axis, scale.name) for axis, dim in axes for scale in dim.values()]


def _drop_stale_ranges(item: Any, array: np.ndarray, marks: dict[str, Any]) -> None:
    """Remove valid ranges that would hide new values from other programs."""
    if not any(name in item.attrs for name in RANGES):
        return
    low = np.nanmin(array, initial=np.inf)
    high = np.nanmax(array, initial=-np.inf)
    for name in RANGES:
        if name not in item.attrs:
            continue
        ends = np.ravel(np.asarray(marks[name], dtype=np.float64))
        below = name != "valid_max" and low < ends[0]
        above = name != "valid_min" and high > ends[-1]
        if below or above or name == "actual_range":
            del item.attrs[name]
