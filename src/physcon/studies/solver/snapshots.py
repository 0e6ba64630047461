"""Snapshots of a solution in NetCDF files that xarray opens, each one whole or absent."""

from collections.abc import Iterable
from pathlib import Path

import h5netcdf
import jax.numpy as jnp
import numpy as np
import xarray as xr

from physcon import fv
from physcon._files import atomic_path
from physcon._typing import Array
from physcon._version import __version__
from physcon.studies.solver._assemble import Setup
from physcon.studies.solver.equations import AXES
from physcon.studies.solver.settings import SolveConfig


def snapshot(
    setup: Setup, config: SolveConfig, u: Array | np.ndarray, t: float, steps: int
) -> xr.Dataset:
    """One state with its coordinates, the primitive variables that it implies, and its
    totals.

    Dimensions: t (one), x, and y. `total_<variable>` is the integral over the grid.
    """
    problem, equation = setup.problem, setup.equation
    axes = AXES[: problem.grid.ndim]
    law = equation.law
    state, totals = np.asarray(u), np.asarray(problem.grid.integrate(jnp.asarray(u)))
    w = np.asarray(law.primitive(jnp.asarray(u))) if isinstance(law, fv.Law) else state
    data = xr.Dataset(attrs=_attributes(setup, config))
    for name, x in zip(axes, problem.grid.coordinates, strict=True):
        about = {"long_name": f"cell centre along {name}", "units": _length(config)}
        data.coords[name] = (name, np.asarray(x), about)
    about = {"long_name": "time", "units": "s" if _length(config) == "m" else "1"}
    data.coords["t"] = ("t", np.asarray([t], state.dtype), about)
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
    """The snapshots of a run on one device: a NetCDF file each, in a folder of their
    own.
    """

    def __init__(self, config: SolveConfig, setup: Setup, folder: Path):
        self.config, self.setup, self.folder = config, setup, folder / "snapshots"

    def prepare(self) -> None:
        """Make the folder; clear what a killed run left half-written."""
        self.folder.mkdir(exist_ok=True)
        for left in self.folder.glob("*.partial"):
            left.unlink()

    def saved(self) -> int:
        """How many snapshots there are, one after the other from the initial state."""
        return sum(1 for _ in self.folder.glob("*.nc"))

    def initial(self) -> Array:
        """The state at the start."""
        return self.setup.u

    def save(self, k: int, u: Array, t: float, steps: int) -> None:
        """Write the k-th snapshot."""
        write(self._path(k), snapshot(self.setup, self.config, u, t, steps))

    def load(self, k: int) -> tuple[Array, int]:
        """State and steps of the k-th snapshot, bit by bit as saved."""
        data = read(self._path(k)).isel(t=0)
        u = np.stack(
            [data[variable.name].values for variable in self.setup.equation.conserved]
        )
        return jnp.asarray(u), int(data["steps"])

    def dataset(self, k: int) -> xr.Dataset:
        """The k-th snapshot as it goes to a file."""
        return read(self._path(k))

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:05d}.nc"


def write(path: Path, data: xr.Dataset) -> None:
    """NetCDF-4 by h5netcdf, whole or absent."""
    with atomic_path(path) as partial:
        data.to_netcdf(partial, engine="h5netcdf")


def read(path: Path) -> xr.Dataset:
    """A file of this module, in memory."""
    return xr.load_dataset(path, engine="h5netcdf")


def combine(path: Path, snapshots: Iterable[xr.Dataset], number: int) -> None:
    """All snapshots in one file along t, whole or absent; one at a time in memory."""
    with atomic_path(path) as partial, h5netcdf.File(partial, "w") as file:
        for k, data in enumerate(snapshots):
            if k == 0:
                _lay_out(file, data, number)
            for name, variable in data.variables.items():
                if "t" in variable.dims:
                    file.variables[name][k] = variable.values[0]


def _lay_out(file: h5netcdf.File, data: xr.Dataset, number: int) -> None:
    """Names, dimensions and attributes as in the first snapshot, with room for all
    times.
    """
    file.attrs.update(data.attrs)
    file.dimensions = {**data.sizes, "t": number}
    for name, variable in data.variables.items():
        to = file.create_variable(str(name), variable.dims, variable.dtype)
        to.attrs.update(variable.attrs)
        if "t" not in variable.dims:
            to[...] = variable.values


def _attributes(setup: Setup, config: SolveConfig) -> dict[str, str]:
    scheme, riemann = config.scheme, setup.problem.scheme.riemann.func.__name__  # type: ignore[attr-defined]
    return {
        "title": f"{config.law.name} from {config.initial.name}",
        "law": config.law.name,
        "scheme": f"{scheme.reconstruction}, {riemann}, {scheme.step}",
        "source": f"physcon {__version__}",
        "Conventions": "CF-1.11",
    }


def _length(config: SolveConfig) -> str:
    return "m" if config.law.name == "shallow_water" else "1"
