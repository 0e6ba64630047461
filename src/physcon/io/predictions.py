"""Arrays by name from npz, HDF5 or NetCDF files, and back into the same layout.

Nothing is unpickled, and no half-written file is left behind: a file is written under a
temporary name and renamed when it is complete.
"""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from physcon._checks import require
from physcon._files import atomic_path

Arrays = dict[str, np.ndarray]


def read_arrays(path: str | Path) -> Arrays:
    """All numeric (and boolean) arrays of a file, by name (HDF5 groups joined with
    "/").

    Raises:
        ValueError: no such file, another ending than .npz .h5 .hdf5 .nc, or a file that can't be
            read as what its ending says (truncated, pickled, foreign).
    """
    path = Path(path)
    require(path.is_file(), "a file", f"no file at {path}", "check the path")
    reader = _format(path)[0]
    try:
        arrays = reader(path)
    except (OSError, ValueError, EOFError, KeyError, BadZipFile) as error:
        raise ValueError(
            f"expected a readable {path.suffix} file, got {path.name}: {error}; it may be "
            "truncated, of another format, or hold pickled objects: save plain arrays"
        ) from error
    return {name: a for name, a in arrays.items() if _is_numeric(a)}


def read_dimensions(path: str | Path) -> dict[str, tuple[str, ...]]:
    """Names of the axes of a NetCDF file's arrays; no names in the other formats."""
    if Path(path).suffix != ".nc":
        return {}
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as data:
        return {
            str(name): tuple(map(str, v.dims)) for name, v in data.variables.items()
        }


def write_arrays(
    path: str | Path,
    arrays: Arrays,
    like: str | Path | None = None,
    force: bool = False,
) -> None:
    """Write arrays by name; with `like`, everything else is carried over from that
    file.

    Carried over: other arrays, HDF5 groups and attributes, NetCDF dimensions and
    coordinates.

    Raises: ValueError: `path` exists and not `force`; unknown ending; `like` of another
        format.
    """
    path = Path(path)
    require(
        force or not path.exists(),
        "a new file",
        f"{path} exists",
        "choose another, or --force",
    )
    require(
        path.parent.is_dir(), "an existing folder", f"{path.parent}", "create it first"
    )
    writer = _format(path)[1]
    for name, array in arrays.items():
        require(
            _is_numeric(array),
            f"numbers in {name!r}",
            str(array.dtype),
            "nothing is pickled",
        )
    if like is not None:
        same = _format(Path(like))[1] is writer
        require(
            same,
            f"the ending {Path(like).suffix}",
            path.suffix,
            "keep the input's format",
        )
    with atomic_path(path) as temporary:
        writer(temporary, arrays, None if like is None else Path(like))


def _is_numeric(array: np.ndarray) -> bool:
    return np.issubdtype(array.dtype, np.number) or array.dtype == np.bool_


def _read_npz(path: Path) -> Arrays:
    with path.open("rb") as stream, np.load(stream, allow_pickle=False) as file:
        return {name: file[name] for name in file.files}


def _write_npz(path: Path, arrays: Arrays, like: Path | None) -> None:
    kept = _read_npz(like) if like else {}
    with path.open("wb") as file:
        np.savez(file, **{**kept, **arrays})  # type: ignore[arg-type]


def _read_hdf5(path: Path) -> Arrays:
    import h5py

    arrays: Arrays = {}

    def collect(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset):
            arrays[name] = np.asarray(item[()])

    with h5py.File(path, "r") as file:
        file.visititems(collect)
    return arrays


def _write_hdf5(path: Path, arrays: Arrays, like: Path | None) -> None:
    import h5py

    if like:
        shutil.copyfile(like, path)
    with h5py.File(path, "a" if like else "w") as file:
        for name, array in arrays.items():
            old: Any = file.get(name)
            if old is None or (old.shape == array.shape and old.dtype != array.dtype):
                # Written anew: in place, a dataset of integers would round.
                attributes = {} if old is None else dict(old.attrs)
                file.pop(name, None)
                file[name] = array
                file[name].attrs.update(attributes)
            else:
                old[...] = array


def _read_netcdf(path: Path) -> Arrays:
    import xarray as xr

    with xr.open_dataset(path, engine="h5netcdf") as data:
        return {str(name): np.asarray(v.values) for name, v in data.variables.items()}


def _write_netcdf(path: Path, arrays: Arrays, like: Path | None) -> None:
    import xarray as xr

    data = xr.load_dataset(like, engine="h5netcdf") if like else xr.Dataset()
    for name, array in arrays.items():
        if name in data:
            data[name] = data[name].copy(data=array)
            for packing in (
                "dtype",
                "scale_factor",
                "add_offset",
                "_FillValue",
                "missing_value",
            ):
                data[name].encoding.pop(
                    packing, None
                )  # packed as integers they would be rounded
        else:
            shaped = [v.dims for v in data.variables.values() if v.shape == array.shape]
            dims = (
                shaped[0] if shaped else tuple(f"{name}_{k}" for k in range(array.ndim))
            )
            data[name] = (dims, array)
    data.to_netcdf(path, engine="h5netcdf")


_Format = tuple[Callable[[Path], Arrays], Callable[[Path, Arrays, Path | None], None]]
_FORMATS: dict[str, _Format] = {
    ".npz": (_read_npz, _write_npz),
    ".h5": (_read_hdf5, _write_hdf5),
    ".hdf5": (_read_hdf5, _write_hdf5),
    ".nc": (_read_netcdf, _write_netcdf),
}


def _format(path: Path) -> _Format:
    known = ", ".join(_FORMATS)
    require(
        path.suffix in _FORMATS, f"one of {known}", f"{path.name!r}", "convert the file"
    )
    return _FORMATS[path.suffix]
