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
from physcon.io._storage import forgiving

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
    with atomic_path(path) as partial, forgiving(partial, new=True) as file:
        store(file, iter(snapshots), number)


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
