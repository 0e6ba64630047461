"""NetCDF files of snapshots, each complete or absent.

A snapshot ends with a line that holds its checksum. The line lies after the end of the
NetCDF data, where NetCDF readers do not look.
"""

import hashlib
import io
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5netcdf
import xarray as xr

from physcon._checks import require
from physcon._files import atomic_path, atomic_write

_MARK = b"\nphyscon-snapshot "


def write(path: Path, data: xr.Dataset) -> None:
    """Write one snapshot with its checksum, completely or not at all."""
    content = io.BytesIO()
    store(content, iter([data]), 1)
    payload = content.getvalue()
    line = json.dumps({"sha256": hashlib.sha256(payload).hexdigest()})
    with atomic_write(path) as file:
        file.write(payload)
        file.write(_MARK + line.encode() + b"\n")


def read(path: Path) -> xr.Dataset:
    """Read a snapshot into memory.

    Raises:
        ValueError: for a file that is absent, damaged, or not a snapshot.
    """
    require(path.is_file(), f"a snapshot {path}", "no file", "resume the run once more")
    payload, mark, line = path.read_bytes().rpartition(_MARK)
    require(
        bool(mark),
        f"a snapshot in {path}",
        "a file without a checksum at its end (cut off, or another file)",
        "remove this file",
    )
    digest = json.dumps({"sha256": hashlib.sha256(payload).hexdigest()}).encode()
    require(
        line == digest + b"\n",
        f"an intact snapshot in {path}",
        "one whose checksum is wrong (damaged)",
        "remove this file",
    )
    return xr.load_dataset(io.BytesIO(payload), engine="h5netcdf")


def combine(path: Path, snapshots: Iterable[xr.Dataset], number: int) -> None:
    """Write all snapshots to one file along t, completely or not at all.

    One snapshot at a time is in memory.
    """
    with atomic_path(path) as partial, partial.open("w+b", buffering=0) as file:
        patient = _Patient(file)
        store(patient, iter(snapshots), number)
        patient.check()


class _Patient(io.RawIOBase):
    """A file that hides failed writes from HDF5.

    HDF5 ends the process if a write fails (for example on a full disk). Here a failed
    write looks successful, and `check` raises its error after HDF5 has closed the file.
    """

    def __init__(self, file: io.FileIO):
        self._file = file
        self._error: OSError | None = None

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._file.readinto(buffer)

    def seek(self, offset: int, whence: int = 0) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def truncate(self, size: int | None = None) -> int:
        return self._trial(lambda: self._file.truncate(size), size or 0)

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")

        def all_of_it() -> int:
            written = 0
            while written < len(view):
                written += self._file.write(view[written:]) or 0
            return written

        return self._trial(all_of_it, len(view))

    def _trial(self, action: Any, otherwise: int) -> int:
        if self._error is None:
            try:
                return action()
            except OSError as error:
                self._error = error
        return otherwise

    def check(self) -> None:
        """Raise the first error of a write."""
        if self._error is not None:
            raise self._error


def store(file: Any, snapshots: Iterator[xr.Dataset], number: int) -> None:
    """Write snapshots along t into an open file as NetCDF-4."""
    with h5netcdf.File(file, "w") as to:
        for k, data in enumerate(snapshots):
            if k == 0:
                _lay_out(to, data, number)
            for name, variable in data.variables.items():
                if "t" in variable.dims:
                    to.variables[str(name)][k] = variable.values[0]


def _lay_out(file: h5netcdf.File, data: xr.Dataset, number: int) -> None:
    """Create names, dimensions and attributes as in the first snapshot.

    There is room for all times.
    """
    file.attrs.update(data.attrs)
    file.dimensions = {**data.sizes, "t": number}
    for name, variable in data.variables.items():
        to = file.create_variable(str(name), variable.dims, variable.dtype)
        to.attrs.update(variable.attrs)
        if "t" not in variable.dims:
            to[...] = variable.values
