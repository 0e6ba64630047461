"""Arrays in NetCDF3 files, read and overwritten in place through a memory map."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from physcon._extras import needs
from physcon.io._dtypes import describe, is_number
from physcon.io._packing import (
    MISSING,
    PACKING,
    RANGES,
    fill_mark,
    is_packed,
    marks_of,
    missing_values,
)
from physcon.io._packing import unpack as unpacked

Arrays = dict[str, np.ndarray]
Block = dict[str, tuple[Any, np.ndarray]]


def names(path: Path) -> list[str]:
    """Return the names of the variables."""
    with _opened(path) as file:
        return list(file.variables)


def units(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return the units of variables that have some."""
    with _opened(path) as file:
        known = {n: getattr(file.variables.get(n), "units", b"") for n in wanted}
    return {n: u.decode("latin-1") for n, u in known.items() if u}


def odd_names(path: Path) -> list[str]:
    """Return nothing: text is harmless in this format."""
    return []


def dimensions(path: Path, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of variables."""
    with _opened(path) as file:
        found = file.variables
        return {name: found[name].dimensions for name in wanted if name in found}


def read(path: Path, wanted: Iterable[str] | None) -> Arrays:
    """Return variables, unpacked, with NaN for missing values."""
    arrays: Arrays = {}
    with _opened(path) as file:
        for name, variable in file.variables.items():
            if wanted is not None and name not in wanted:
                continue
            raw = np.array(variable.data)
            if not is_number(raw.dtype):
                if wanted is None:
                    continue
                raise ValueError(f"{name!r} holds {describe(raw.dtype)}, not numbers")
            arrays[name] = unpacked(raw, marks_of(variable._attributes))
    return arrays


def write(path: Path, arrays: Arrays, like: Path | None) -> None:
    """Overwrite variables in a copy of `like`.

    A variable that is packed as integers is written as floating-point numbers. That
    changes the layout of the file, which is then written anew.
    """
    assert like is not None
    with _opened(like) as source:
        variables = source.variables
        for name in arrays:
            known = name in variables
            if known and variables[name].shape != arrays[name].shape:
                raise ValueError(
                    f"expected {name!r} of shape {variables[name].shape}, "
                    f"got {arrays[name].shape}; keep the shape of the file's own array"
                )
        anew = [n for n in arrays if n not in variables or _must_change(variables[n])]
        if anew:
            _rewrite(path, arrays, source)
            return
        shutil.copyfile(like, path)
        for name, array in arrays.items():
            _refill(path, source, name, ..., array)


def takes_blocks(path: Path, wanted: Iterable[str]) -> bool:
    """Whether variables can be written in parts: they are there, and not packed."""
    with _opened(path) as source:
        known = source.variables
        return all(n in known and not _must_change(known[n]) for n in wanted)


def write_blocks(path: Path, like: Path, blocks: Iterable[Block]) -> None:
    """Overwrite parts of variables in a copy of `like`; see `takes_blocks`."""
    shutil.copyfile(like, path)
    with _opened(like) as source:
        for block in blocks:
            for name, (where, array) in block.items():
                _refill(path, source, name, where, array)


def _must_change(variable: Any) -> bool:
    dtype = variable.data.dtype
    return dtype.kind != "f" or is_packed(dtype, marks_of(variable._attributes))


def _refill(path: Path, source: Any, name: str, where: Any, array: np.ndarray) -> None:
    """Write a part of one variable at the place where `source` has it."""
    data = source.variables[name].data
    start = source._mm_buf.__array_interface__["data"][0]
    offset = data.__array_interface__["data"][0] - start
    whole = np.memmap(path, np.int8, "r+")
    target = np.ndarray(data.shape, data.dtype, whole, offset, data.strides)[where]
    data = np.asarray(data[where])
    marks = marks_of(source.variables[name]._attributes)
    missing = missing_values(data, marks)
    kept = np.isnan(array)
    if missing is not None:
        kept &= missing
        if (np.isnan(array) & ~missing).any():
            array = np.where(np.isnan(array), fill_mark(marks, data.dtype), array)
        target[~kept] = array[~kept]
    else:
        target[...] = array
    whole.flush()


def _rewrite(path: Path, arrays: Arrays, source: Any) -> None:
    """Write the whole file again, with some variables as floating-point numbers."""
    with needs("data"):
        from scipy.io import netcdf_file

    with netcdf_file(path, "w", version=source.version_byte) as file:
        for key, value in source._attributes.items():
            setattr(file, key, value)
        # SciPy wants the dimension of the records, of size None, first.
        sizes = source.dimensions
        for name in sorted(sizes, key=lambda name: sizes[name] is not None):
            file.createDimension(name, sizes[name])
        for name, old in source.variables.items():
            values = arrays.get(name)
            change = values is not None and _must_change(old)
            dtype = np.dtype(np.float64) if change else old.data.dtype
            new = file.createVariable(name, dtype, old.dimensions)
            dropped = {*PACKING, *RANGES, *MISSING} if change else set()
            for key, value in old._attributes.items():
                if key not in dropped:
                    setattr(new, key, value)
            values = old.data if values is None else values
            if old.dimensions:
                new[:] = values
            else:
                new.assignValue(values)
            if change and any(key in old._attributes for key in MISSING):
                new._FillValue = np.float64(np.nan)


def _opened(path: Path) -> Any:
    with needs("data"):
        from scipy.io import netcdf_file

    return _Closing(netcdf_file(path, "r", mmap=True, maskandscale=False))


class _Closing:
    """Closes a file of SciPy without its warning about arrays that refer to the map."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def __enter__(self) -> Any:
        return self._file

    def __exit__(self, *error: object) -> None:
        import warnings

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self._file.close()
