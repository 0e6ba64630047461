"""Snapshots of a solution in NetCDF files that xarray opens, each one whole or absent."""

from collections.abc import Sequence
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import xarray as xr

from physcon import fv
from physcon._files import atomic_path
from physcon._typing import Array
from physcon._version import __version__
from physcon.studies.solver.assemble import Setup
from physcon.studies.solver.equations import AXES
from physcon.studies.solver.settings import SolveConfig


def snapshot(setup: Setup, config: SolveConfig, u: Array, t: float, steps: int) -> xr.Dataset:
    """One state with its coordinates, the primitive variables that it implies, and its totals.

    Dimensions: t (one), x, and y. `total_<variable>` is the integral over the grid.
    """
    problem, equation = setup.problem, setup.equation
    axes = AXES[: problem.grid.ndim]
    law = equation.law
    state, totals = np.asarray(u), np.asarray(problem.grid.integrate(u))
    w = np.asarray(law.primitive(u)) if isinstance(law, fv.Law) else state
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


def conserved(setup: Setup, data: xr.Dataset) -> tuple[Array, float, int]:
    """State, time and steps of the last snapshot in a data set, bit by bit as written."""
    last = data.isel(t=-1)
    u = np.stack([last[variable.name].values for variable in setup.equation.conserved])
    return jnp.asarray(u), float(last["t"]), int(last["steps"])


def write(path: Path, data: xr.Dataset) -> None:
    """NetCDF-4 by h5netcdf, whole or absent."""
    with atomic_path(path) as partial:
        data.to_netcdf(partial, engine="h5netcdf")


def read(path: Path) -> xr.Dataset:
    """A file of this module, in memory."""
    return xr.load_dataset(path, engine="h5netcdf")


def combine(path: Path, parts: Sequence[Path]) -> xr.Dataset:
    """All snapshots in one file along t."""
    data = xr.concat([read(part) for part in parts], dim="t", data_vars="minimal")
    write(path, data)
    return data


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
