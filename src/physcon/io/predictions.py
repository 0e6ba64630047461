"""Arrays by name from npz, HDF5 or NetCDF files, and back into the same layout.

Nothing is unpickled. A file has a temporary name until it is written completely.
"""

import errno
import lzma
import shutil
import struct
import tokenize
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from physcon._deprecation import accepts_old_positions
from physcon._files import atomic_path, check_output
from physcon._require import require
from physcon.io import _hdf5, _netcdf, _npz
from physcon.io._dtypes import describe, is_number

Arrays = dict[str, np.ndarray]

_FORMATS: dict[str, Any] = {
    ".npz": _npz,
    ".h5": _hdf5,
    ".hdf5": _hdf5,
    ".he5": _hdf5,
    ".nc": _netcdf,
    ".nc4": _netcdf,
    ".cdf": _netcdf,
}
#: Errors of the machine, not of the content of a file.
_NOT_THE_FILE = (errno.EACCES, errno.EPERM, errno.EAGAIN, errno.EMFILE, errno.EISDIR)
#: What readers raise on a file that is damaged, or that is not what its ending says.
_UNREADABLE = (
    OSError,
    ValueError,
    TypeError,
    EOFError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
    MemoryError,
    BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    tokenize.TokenError,
)


def read_arrays(path: str | Path, names: Iterable[str] | None = None) -> Arrays:
    """Return arrays of numbers of a file, by name; HDF5 groups are joined with "/".

    Packed integers are unpacked and missing values become NaN, by the conventions of
    NetCDF. Times and durations are returned as the numbers that the file stores.

    Args:
        path: a file that ends with .npz, .h5, .hdf5, .he5, .nc, .nc4 or .cdf.
        names: the arrays to read, where the file has them; default: all of them. Only
            these are read, so that other parts of the file may be of any kind.

    Raises:
        ValueError: there is no such file, its ending is unknown, it can't be read as
            its ending says, or a named array does not hold numbers.
    """
    path = Path(path)
    wanted = None if names is None else list(dict.fromkeys(names))
    with _reading(path) as form:
        return form.read(path, wanted)


def array_names(path: str | Path) -> list[str]:
    """Return the names of all arrays of a file, without reading them."""
    path = Path(path)
    with _reading(path) as form:
        return form.names(path)


def read_units(path: str | Path, names: Iterable[str]) -> dict[str, str]:
    """Return the units of arrays, where the file has them as attributes."""
    path = Path(path)
    with _reading(path) as form:
        return form.units(path, list(names))


def odd_names(path: str | Path) -> list[str]:
    """Return the names of arrays that are no numbers: text, records, references."""
    path = Path(path)
    with _reading(path) as form:
        return form.odd_names(path)


def read_dimensions(
    path: str | Path, names: Iterable[str] | None = None
) -> dict[str, tuple[str, ...]]:
    """Return the names of the axes of arrays, where the file has such names."""
    path = Path(path)
    with _reading(path) as form:
        return form.dimensions(path, form.names(path) if names is None else names)


@accepts_old_positions
def write_arrays(
    path: str | Path,
    arrays: Arrays,
    like: str | Path | None = None,
    *,
    force: bool = False,
) -> None:
    """Write arrays by name; with `like`, the rest of that file is kept bit for bit.

    A file `like` is copied and the named arrays are overwritten in it. They keep the
    type, byte order, compression and chunks that they have there, except that numbers
    packed as integers are written as floating-point numbers. An array that `like` keeps
    in other files (external storage, external links, virtual datasets) becomes a plain
    array of the output: no file except the output is changed.

    Raises:
        ValueError: `path` exists and `force` is False, its ending is unknown, `like`
            is of another format, or an array has another shape there.
    """
    path = Path(path)
    check_output(path, force=force)
    form = _format(path)
    for name, array in arrays.items():
        require(
            is_number(array.dtype),
            f"numbers in {name!r}",
            describe(array.dtype),
            "convert the array to numbers: nothing is pickled",
        )
    if like is not None:
        require(
            _format(Path(like)) is form,
            f"the ending {Path(like).suffix}",
            path.suffix,
            "keep the format of the input",
        )
    _check_space(path, arrays, None if like is None else Path(like))
    with atomic_path(path) as temporary:
        form.write(temporary, arrays, None if like is None else Path(like))


def write_blocks(
    path: str | Path,
    blocks: Iterable[dict[str, tuple[Any, np.ndarray]]],
    like: str | Path,
    force: bool = False,
) -> None:
    """Overwrite parts of variables in a copy of a NetCDF or HDF5 file, as blocks come.

    This needs the memory of one block. See `write_arrays`.

    Args:
        path: the output.
        blocks: per block, by name, which part of an array (a tuple of slices) and its
            new values.
        like: the file that is copied.
        force: replace an existing output.
    """
    path = Path(path)
    check_output(path, force=force)
    _check_space(path, {}, Path(like))
    with atomic_path(path) as temporary:
        _netcdf.write_blocks(temporary, Path(like), blocks)


def takes_blocks(path: str | Path, names: Iterable[str]) -> bool:
    """Whether `write_blocks` can write these variables of files like this one."""
    path = Path(path)
    form = _format(path)
    return form is _hdf5 or (form is _netcdf and form.takes_blocks(path, names))


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    """Yield the module for the file's format; errors become one sentence."""
    require(path.is_file(), "a file", f"no file at {path}", "check the path")
    form = _format(path)
    try:
        yield form
    except _UNREADABLE as error:
        raise ValueError(
            f"expected a readable {path.suffix} file, got {path.name}: {_reason(error)}"
        ) from error


def _reason(error: Exception) -> str:
    text = " ".join(str(error).split()) or type(error).__name__
    if isinstance(error, MemoryError):
        return f"it does not fit in the memory ({text}): split the file"
    if isinstance(error, OSError) and error.errno in _NOT_THE_FILE:
        return text
    if isinstance(error, ValueError) and "allow_pickle" in text:
        return "it holds pickled objects, which can run code: save plain arrays"
    if isinstance(error, ValueError) and " object at 0x" in text:
        return "the header of an array is damaged"
    if isinstance(error, ValueError) and "EOF" not in text:
        return text
    if isinstance(error, NotImplementedError):
        return f"it is compressed in a way that Python does not read ({text})"
    return f"it is truncated, damaged or of another format ({text})"


def _check_space(path: Path, arrays: Arrays, like: Path | None) -> None:
    needed = sum(a.nbytes for a in arrays.values())
    needed += 0 if like is None else like.stat().st_size
    free = shutil.disk_usage(path.parent).free
    if like is not None and like.suffix.lower() == ".npz":
        return  # compressed members may need far less
    require(
        0.5 * needed <= free,
        f"about {needed / 1e6:.3g} MB of free space in {path.parent}",
        f"{free / 1e6:.3g} MB",
        "remove files there or choose another folder",
    )


def _format(path: Path) -> Any:
    known = ", ".join(_FORMATS)
    ending = path.suffix.lower()
    require(
        ending in _FORMATS,
        f"one of {known}",
        f"{path.name!r}",
        "convert the file to one of these formats",
    )
    return _FORMATS[ending]
