"""Snapshots of a solution in NetCDF files that xarray opens, each complete or absent.

A snapshot ends with a line that holds its checksum. The line lies after the end of the
NetCDF data, where NetCDF readers do not look.
"""

import sys
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import xarray as xr

from physcon import fv
from physcon._checks import require
from physcon._typing import Array
from physcon._version import __version__
from physcon.mesh import Mesh
from physcon.studies.solver import mesh_files
from physcon.studies.solver._assemble import Setup
from physcon.studies.solver.equations import AXES
from physcon.studies.solver.settings import SolveConfig
from physcon.studies.solver.snapshot_files import read, write
from physcon.training.checkpoint import identity_hash

#: Name of the attribute that identifies the run of a snapshot.
_RUN = "physcon_run"


def snapshot(
    setup: Setup, config: SolveConfig, u: Array | np.ndarray, t: float, steps: int
) -> xr.Dataset:
    """One state with its coordinates, its primitive variables, and its totals.

    The dimensions are t (one entry), x, and y; on a mesh t and the cells.
    `total_<variable>` is the integral over the grid.
    """
    problem = setup.problem
    equation = setup.equation
    mesh = setup.mesh
    axes = AXES[: problem.grid.ndim] if mesh is None else (mesh_files.CELLS,)
    place = {} if mesh is None else mesh_files.about_cells(mesh)
    law = equation.law
    state = np.asarray(u)
    totals = np.asarray(problem.grid.integrate(jnp.asarray(u)))
    w = np.asarray(law.primitive(jnp.asarray(u))) if isinstance(law, fv.Law) else state
    data = xr.Dataset(_centres(setup, config), attrs=_attributes(setup, config))
    about = {"long_name": "time", "units": "s" if _length(config) == "m" else "1"}
    data.coords["t"] = ("t", np.asarray([t], np.float64), about)
    for variable, values in zip(equation.primitive, w, strict=True):
        about = {"long_name": variable.long_name, "units": variable.units} | place
        data[variable.name] = (("t", *axes), values[None], about)
    for variable, values, total in zip(equation.conserved, state, totals, strict=True):
        about = {"long_name": variable.long_name, "units": variable.units} | place
        data[variable.name] = (("t", *axes), values[None], about)
        about = {"long_name": f"integral of {variable.name}"}
        data[f"total_{variable.name}"] = ("t", total[None], about)
    data["steps"] = ("t", np.asarray([steps]), {"long_name": "time steps taken"})
    return data


def _centres(setup: Setup, config: SolveConfig) -> dict[str, tuple]:
    """The centres of the cells, along the axes of a grid or one by one on a mesh."""
    grid = setup.problem.grid
    if isinstance(grid, Mesh):
        return mesh_files.cell_centres(grid, _length(config))
    centres = {}
    for name, x in zip(AXES, grid.coordinates, strict=False):
        about = {"long_name": f"cell centre along {name}", "units": _length(config)}
        centres[name] = (name, np.asarray(x), about)
    return centres


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
        mesh = self.setup.mesh
        return data if mesh is None else mesh_files.with_topology(data, mesh)

    def _read(self, k: int, t: float | None = None) -> xr.Dataset:
        path = self._path(k)
        data = read(path)
        require(
            data.attrs.get(_RUN) == self._run,
            f"a snapshot of this run in {path}",
            "one of another run",
            "remove this file",
        )
        found = data["t"].values.tolist()
        require(
            t is None or found == [t],
            f"the state at t = {t} in {path}",
            f"one at {found}",
            "remove this file",
        )
        return data

    def _path(self, k: int) -> Path:
        return self.folder / f"{k:05d}.nc"


def warn(text: str) -> None:
    """Print a line on standard error, if it is open."""
    if sys.stderr is not None:
        print(f"physcon solve: {text}", file=sys.stderr, flush=True)


def _attributes(setup: Setup, config: SolveConfig) -> dict[str, str]:
    riemann = setup.problem.scheme.riemann.func.__name__  # type: ignore[attr-defined]
    scheme = (config.scheme.reconstruction, riemann, setup.time_step.name)
    return {
        "title": f"{config.law.name} from {config.initial.name}",
        "law": config.law.name,
        "scheme": ", ".join(scheme),
        "source": f"physcon {__version__}",
        "Conventions": "CF-1.11",
    }


def _length(config: SolveConfig) -> str:
    return "m" if config.law.name == "shallow_water" else "1"
