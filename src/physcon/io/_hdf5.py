"""Arrays in HDF5 files, which NetCDF4 files are as well.

Only datasets that are named are read; `physcon.io._hdf5_write` writes them.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.io._dtypes import describe, is_number
from physcon.io._hdf5_write import write, write_blocks
from physcon.io._packing import marks_of, unpack

__all__ = ["dimensions", "names", "odd_names", "read", "units", "write", "write_blocks"]

Arrays = dict[str, np.ndarray]
_DIMENSION_ONLY = b"This is a netCDF dimension but not a netCDF variable"


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
        # Links are not visited; links in the root group are listed as well.
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
            arrays[name] = unpack(np.asarray(item[()]), marks_of(item.attrs))
    return arrays


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
