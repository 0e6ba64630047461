"""Arrays in NetCDF files: version 4, which is HDF5, or version 3."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from physcon._extras import needs
from physcon.io import _hdf5, _netcdf3
from physcon.io._hdf5_write import Block
from physcon.io._storage import forgiving

Arrays = dict[str, np.ndarray]
_HDF5 = b"\x89HDF\r\n\x1a\n"


def names(path: Path) -> list[str]:
    """Return the names of the variables."""
    return _by_content(path).names(path)


def units(path: Path, wanted: Iterable[str]) -> dict[str, str]:
    """Return the units of variables that have some."""
    return _by_content(path).units(path, wanted)


def odd_names(path: Path) -> list[str]:
    """Return the names of variables that are no numbers."""
    return _by_content(path).odd_names(path)


def dimensions(path: Path, wanted: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of variables."""
    return _by_content(path).dimensions(path, wanted)


def read(path: Path, wanted: Iterable[str] | None) -> Arrays:
    """Return variables, unpacked, with NaN for missing values; times as numbers."""
    return _by_content(path).read(path, wanted)


def write(path: Path, arrays: Arrays, like: Path | None) -> None:
    """Overwrite variables in a copy of `like`, or write a new NetCDF4 file."""
    if like is not None:
        _by_content(like).write(path, arrays, like)
        return
    with needs("data"):
        import h5netcdf

    with forgiving(path, new=True) as stream, h5netcdf.File(stream, "w") as file:
        known: list[tuple[tuple[int, ...], tuple[str, ...]]] = []
        for name, array in arrays.items():
            same = [dims for shape, dims in known if shape == array.shape]
            dims = tuple(f"{name}_{k}" for k in range(array.ndim))
            if same:
                dims = same[0]
            else:
                for dim, size in zip(dims, array.shape, strict=True):
                    file.dimensions[dim] = size
                known.append((array.shape, dims))
            data = array.astype(np.int8) if array.dtype.kind == "b" else array
            file.create_variable(name, dims, data.dtype, data=data)


def takes_blocks(path: Path, wanted: Iterable[str]) -> bool:
    """Whether variables of a file can be written in parts."""
    return _by_content(path) is _hdf5 or _netcdf3.takes_blocks(path, wanted)


def write_blocks(path: Path, like: Path, blocks: Iterable[Block]) -> None:
    """Overwrite parts of variables in a copy of a file."""
    _by_content(like).write_blocks(path, like, blocks)


def _by_content(path: Path):
    with path.open("rb") as stream:
        start = stream.read(8)
    if start[:4] in (b"CDF\x01", b"CDF\x02"):
        return _netcdf3
    if start[:4] == b"CDF\x05":
        raise ValueError(
            "it is a NetCDF3 file of 64-bit data (CDF5): "
            f"convert it by nccopy -k nc4 {path.name} new.nc"
        )
    if start != _HDF5:
        raise ValueError(
            "it is neither NetCDF4 (HDF5) nor NetCDF3: truncated, or another format"
        )
    return _hdf5
