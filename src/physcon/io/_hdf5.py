"""Arrays in HDF5 files, which NetCDF4 files are as well.

Only datasets that are named are read. For writing, the file is copied and the named
datasets are overwritten in place, so that everything else stays as it is, bit for bit:
groups, attributes, compression, text, records, and whatever another program put there.
"""

import os
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.io._dtypes import describe, is_floating, is_number
from physcon.io._links import is_elsewhere, owned
from physcon.io._packing import (
    MISSING,
    PACKING,
    RANGES,
    fill_mark,
    is_packed,
    missing_values,
    unpack,
)
from physcon.io._storage import open_hdf5

Arrays = dict[str, np.ndarray]
Block = dict[str, tuple[Any, np.ndarray]]
_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"
_SCALE = ("CLASS", "NAME", "REFERENCE_LIST", "DIMENSION_LIST")


def names(path: Path) -> list[str]:
    """Return the names of all datasets, groups joined with "/"."""
    with needs("data"):
        import h5py

    found: list[str] = []

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and not _is_bare_dimension(item):
            found.append(name)

    with h5py.File(path, "r") as file:
        file.visititems(collect)
        # Links are not visited; those of the root group are listed as well.
        linked = [str(n) for n in file if n not in found]
        found += [n for n in linked if isinstance(file.get(n), h5py.Dataset)]
        return [n for n in found if not _is_bare_dimension(file[n])]


def units(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return the units of datasets that have some."""
    with needs("data"):
        import h5py

    found: dict[str, str] = {}
    with h5py.File(path, "r") as file:
        for name in wanted:
            item: Any = file.get(name)
            value = item.attrs.get("units", "") if item is not None else ""
            value = value.decode("latin-1") if isinstance(value, bytes) else value
            if isinstance(value, str) and value:
                found[name] = value
    return found


def odd_names(path: Path) -> list[str]:
    """Return the names of datasets that are no numbers."""
    every = names(path)
    with needs("data"):
        import h5py
    with h5py.File(path, "r") as file:
        items: dict[str, Any] = {name: file[name] for name in every}
        return [name for name, item in items.items() if not is_number(item.dtype)]


def dimensions(path: Path, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of those datasets that have dimension scales."""
    with needs("data"):
        import h5py

    found: dict[str, tuple[str, ...]] = {}
    with h5py.File(path, "r") as file:
        for name in wanted:
            item = file.get(name)
            if isinstance(item, h5py.Dataset):
                axes = _axes(item)
                if axes is not None:
                    found[name] = axes
    return found


def read(path: Path, wanted: Iterable[str] | None) -> Arrays:
    """Return the datasets named, or all datasets of numbers, unpacked."""
    with needs("data"):
        import h5py

    arrays: Arrays = {}
    with h5py.File(path, "r") as file:
        for name in names(path) if wanted is None else wanted:
            item = file.get(name)
            if not isinstance(item, h5py.Dataset):
                continue
            if not is_number(item.dtype):
                if wanted is None:
                    continue
                what = describe(item.dtype)
                raise ValueError(f"{name!r} holds {what}, not numbers")
            _check_memory(name, item)
            arrays[name] = unpack(np.asarray(item[()]), attributes(item))
    return arrays


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
                place, marks = prepared[name]
                _refill(file[place], where, array, marks)
                _drop_stale_ranges(file[place], array, attributes(source[name]))


def attributes(item: Any) -> dict[str, Any]:
    """Return the attributes that say how numbers are packed, as NumPy values."""
    known = (*PACKING, *MISSING, *RANGES)
    return {name: item.attrs[name] for name in known if name in item.attrs}


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
    marks = attributes(original)
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


def _axes(item: Any) -> tuple[str, ...] | None:
    """Return the names of the axes, or None where one has no name."""
    if item.ndim == 0:
        return ()
    if item.is_scale and item.ndim == 1:
        return (item.name.lstrip("/"),)
    if "DIMENSION_LIST" not in item.attrs:
        return None
    axes = [item.dims[axis] for axis in range(item.ndim)]
    if any(len(axis) == 0 for axis in axes):
        return None
    return tuple(axis[0].name.lstrip("/") for axis in axes)


def _is_bare_dimension(item: Any) -> bool:
    name = item.attrs.get("NAME") if "CLASS" in item.attrs else None
    name = name.encode() if isinstance(name, str) else name
    return isinstance(name, bytes) and name.startswith(_DIMENSION_ONLY)


def _check_memory(name: str, item: Any) -> None:
    """Refuse a dataset that declares more numbers than the machine can hold."""
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    if item.nbytes > memory:
        raise ValueError(
            f"{name!r} declares {item.nbytes / 1e9:.3g} GB, more than the memory of "
            f"{memory / 1e9:.3g} GB: split the file"
        )
