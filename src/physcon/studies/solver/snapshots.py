"""Snapshots of a solution in NetCDF files that xarray opens, each complete or absent.

A snapshot ends with a line that holds its checksum. The line lies after the end of the
NetCDF data, where NetCDF readers do not look.
"""

import hashlib
import io
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import h5netcdf
import jax.numpy as jnp
import numpy as np
import xarray as xr

from physcon import fv
from physcon._checks import require
from physcon._files import atomic_path, atomic_write
from physcon._typing import Array
from physcon._version import __version__
from physcon.studies.solver._assemble import Setup
from physcon.studies.solver.equations import AXES
from physcon.studies.solver.settings import SolveConfig
from physcon.training.checkpoint import identity_hash

_MARK = b"\nphyscon-snapshot "
#: Name of the attribute that identifies the run of a snapshot.
_RUN = "physcon_run"


def snapshot(
    setup: Setup, config: SolveConfig, u: Array | np.ndarray, t: float, steps: int
) -> xr.Dataset:
    """One state with its coordinates, its primitive variables, and its totals.

    The dimensions are t (one entry), x, and y. `total_<variable>` is the integral over
    the grid.
    """
    problem, equation = setup.problem, setup.equation
    axes = AXES[: problem.grid.ndim]
    law = equation.law
    state = np.asarray(u)
    totals = np.asarray(problem.grid.integrate(jnp.asarray(u)))
    w = np.asarray(law.primitive(jnp.asarray(u))) if isinstance(law, fv.Law) else state
    data = xr.Dataset(attrs=_attributes(setup, config))
    for name, x in zip(axes, problem.grid.coordinates, strict=True):
        about = {"long_name": f"cell centre along {name}", "units": _length(config)}
        data.coords[name] = (name, np.asarray(x), about)
    about = {"long_name": "time", "units": "s" if _length(config) == "m" else "1"}
    data.coords["t"] = ("t", np.asarray([t], np.float64), about)
    for variable, values in zip(equation.primitive, w, strict=True):
        about = {"long_name": variable.long_name, "units": variable.units}
        data[variable.name] = (("t", *axes), values[None], about)
    for variable, values, total in zip(equation.conserved, state, totals, strict=True):
        about = {"long_name": variable.long_name, "units": variable.units}
        data[variable.name] = (("t", *axes), values[None], about)
        about = {"long_name": f"integral of {variable.name}"}
        data[f"total_{variable.name}"] = ("t", total[None], about)
    data["steps"] = ("t", np.asarray([steps]), {"long_name": "time steps taken"})
    return data


class Files:
    """The snapshots of a run on one device: one NetCDF file each, in their own folder.

    Args:
        config: the settings of the run.
        setup: the problem that is solved.
        folder: the run folder.
        identity: the settings as JSON values; snapshots with other settings are not
            used.
    """

    def __init__(
        self, config: SolveConfig, setup: Setup, folder: Path, identity: dict[str, Any]
    ):
        self.config = config
        self.setup = setup
        self.folder = folder / "snapshots"
        self._run = identity_hash(identity)

    def prepare(self) -> None:
        """Create the folder, and remove half-written files of a killed run."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob("*.partial"):
            left.unlink()

    def saved(self, times: np.ndarray) -> int:
        """Count the intact snapshots of this run at the first of the `times`.

        The first snapshot that is damaged, or belongs to another run, is named on
        standard error; the run continues from the one before it.
        """
        for k, t in enumerate(times.tolist()):
            if not self._path(k).is_file():
                return k
            try:
                self._read(k, t)
            except ValueError as error:
                warn(f"{error}; continuing from the snapshot before it")
                return k
        return len(times)

    def initial(self) -> Array:
        """The state at the start."""
        return self.setup.u

    def save(self, k: int, u: Array, t: float, steps: int) -> None:
        """Write the k-th snapshot."""
        data = snapshot(self.setup, self.config, u, t, steps)
        data.attrs[_RUN] = self._run
        write(self._path(k), data)

    def load(self, k: int) -> tuple[Array, int]:
        """Load the state and steps of the k-th snapshot, bit by bit as saved."""
        data = self.dataset(k).isel(t=0)
        u = np.stack(
            [data[variable.name].values for variable in self.setup.equation.conserved]
        )
        return jnp.asarray(u), int(data["steps"])

    def dataset(self, k: int) -> xr.Dataset:
        """The k-th snapshot as it is written to a file."""
        data = self._read(k)
        del data.attrs[_RUN]
        return data

    def _read(self, k: int, t: float | None = None) -> xr.Dataset:
        path = self._path(k)
        data = read(path)
        require(
            data.attrs.get(_RUN) == self._run,
            f"a snapshot of this run in {path}",
            "one of another run",
            "remove it",
        )
        found = data["t"].values.tolist()
        require(
            t is None or found == [t],
            f"the state at t = {t} in {path}",
            f"one at {found}",
            "remove it",
        )
        return data

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:05d}.nc"


def warn(text: str) -> None:
    """Print a line on standard error, if it is open."""
    if sys.stderr is not None:
        print(f"physcon solve: {text}", file=sys.stderr, flush=True)


def write(path: Path, data: xr.Dataset) -> None:
    """Write one snapshot with its checksum, completely or not at all."""
    content = io.BytesIO()
    _store(content, iter([data]), 1)
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
    require(path.is_file(), f"a snapshot {path}", "no file", "resume the run again")
    payload, mark, line = path.read_bytes().rpartition(_MARK)
    require(
        bool(mark),
        f"a snapshot in {path}",
        "a file without a checksum at its end (cut off, or another file)",
        "remove it",
    )
    digest = json.dumps({"sha256": hashlib.sha256(payload).hexdigest()}).encode()
    require(
        line == digest + b"\n",
        f"an intact snapshot in {path}",
        "one whose checksum is wrong (damaged)",
        "remove it",
    )
    return xr.load_dataset(io.BytesIO(payload), engine="h5netcdf")


def combine(path: Path, snapshots: Iterable[xr.Dataset], number: int) -> None:
    """Write all snapshots to one file along t, completely or not at all.

    One snapshot at a time is in memory.
    """
    with atomic_path(path) as partial, partial.open("w+b", buffering=0) as file:
        patient = _Patient(file)
        _store(patient, iter(snapshots), number)
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


def _store(file: Any, snapshots: Iterator[xr.Dataset], number: int) -> None:
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


def _attributes(setup: Setup, config: SolveConfig) -> dict[str, str]:
    scheme = config.scheme
    riemann = setup.problem.scheme.riemann.func.__name__  # type: ignore[attr-defined]
    return {
        "title": f"{config.law.name} from {config.initial.name}",
        "law": config.law.name,
        "scheme": f"{scheme.reconstruction}, {riemann}, {scheme.step}",
        "source": f"physcon {__version__}",
        "Conventions": "CF-1.11",
    }


def _length(config: SolveConfig) -> str:
    return "m" if config.law.name == "shallow_water" else "1"
